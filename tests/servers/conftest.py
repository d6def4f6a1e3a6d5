"""The modules of tests/flows and of this folder are importable because of this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))
sys.path.insert(0, str(Path(__file__).parent))

from fixtures import embedded, hosted, postgresql, s3, undisturbed

__all__ = ["embedded", "hosted", "postgresql", "s3", "undisturbed"]
