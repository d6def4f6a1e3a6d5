"""``make bench``: measures every line of docs/performance.md, writes its table and picture, and prints the table.

``--only drift join`` measures some of them again and keeps what was measured before of the others.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

# Ours and the peers' have the same number of threads: numpy's and OpenMP's would fight over the processors.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import speed_page as page
from speed_results import Part, Results, load

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / ".flywheel" / "bench" / "speed"
FILE = ROOT / ".flywheel" / "bench" / "speed.json"
PARTS = ("drift", "join", "log", "inference", "batch", "export", "contract", "start", "flights", "scale")
PACKAGES = ("flywheel-batch", "prefect", "polars", "pyarrow", "duckdb", "deltalake", "numpy", "scipy", "scikit-learn")


def measure(part: str) -> Part:
    """Run one module's measurements in full size."""
    module = importlib.import_module(f"speed_{part}")
    began = time.perf_counter()
    lines = module.measure(module.FULL, FOLDER)
    return Part(part, datetime.now(UTC).isoformat(timespec="minutes"), time.perf_counter() - began, lines)


def main() -> int:
    """Measure, and write .flywheel/bench/speed.json after each part; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    asked = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = load(FILE) if FILE.exists() else Results({}, [])
    for part in asked.only:
        print(f"{part} …", file=sys.stderr, flush=True)
        results = results.with_part(measure(part), _made_with(), PARTS)
        results.save(FILE)
        page.write(ROOT / "docs", results)
    print(page.plain_table(results))
    return 0


def _made_with() -> dict[str, str]:
    machine = {"machine": platform.machine(), "processors": str(os.cpu_count()), "python": platform.python_version()}
    return machine | {name: version(name) for name in PACKAGES}


if __name__ == "__main__":
    sys.exit(main())
