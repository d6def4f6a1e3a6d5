"""The benchmark's modules, and those of tests/flows that replay the flights, are importable because of this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "flows"))
sys.path.insert(0, str(Path(__file__).parent))
