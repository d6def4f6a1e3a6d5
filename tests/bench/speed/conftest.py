"""Makes the benchmark's modules importable; what runs in a peer's environment is not imported here."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
