"""A slice of line 1: counting costs a few scans, and a check costs the same whatever its window holds."""

from __future__ import annotations

from pathlib import Path

import speed_drift


def test_drift_stays_near_the_scan_and_a_check_does_not_grow(tmp_path: Path) -> None:
    fine, coarse, check, growth = speed_drift.measure(speed_drift.SLICE, tmp_path)
    assert fine.figure < 2 * fine.goal
    assert coarse.figure < 2 * coarse.goal
    assert check.figure < 10 * check.goal
    assert growth.figure < 2
