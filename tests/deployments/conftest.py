"""``beans``, a small pipeline, and the stack that runs it; ``live`` is importable because of this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
