"""The modules of tests/flows, and the fixtures of tests/servers, are importable because of this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))
sys.path.insert(0, str(Path(__file__).parent.parent / "servers"))
sys.path.insert(0, str(Path(__file__).parent))

from fixtures import embedded

__all__ = ["embedded"]
