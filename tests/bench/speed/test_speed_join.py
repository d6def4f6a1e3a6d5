"""The short slice of line 2: ratios with wide margins; which files an hour opens is tested in tests/feedback."""

from __future__ import annotations

from pathlib import Path

from speed_join import SLICE
from speed_run import Contender, compare
from speed_tables import made_tables


def test_the_full_join_stays_near_its_limit(tmp_path: Path) -> None:
    made_tables(SLICE.log, tmp_path)
    asked = {"rows": SLICE.log.rows, "hours": SLICE.log.hours, "folder": str(tmp_path)}
    costs = compare([Contender(name, f"speed_join:{name}", asked) for name in ("ours", "bare")], SLICE.runs)
    assert costs["ours"].cpu < 5 * costs["bare"].cpu
    assert costs["ours"].peak < 1 << 30
