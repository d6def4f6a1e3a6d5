"""Makes the benchmarks' modules importable, and those of tests/flows that replay the flights.

What runs in a peer's environment is not imported here.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).parent
sys.path[:0] = [str(folder) for folder in (_HERE, *(_HERE / name for name in ("drift", "flights", "speed")))]
sys.path.insert(0, str(_HERE.parent / "flows"))
