"""Makes the helpers here, and those of the tests of records and sources, importable."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(folder) for folder in (HERE, HERE.parent / "records", HERE.parent / "sources")]
