"""The short slice of line 6: ratios with wide margins, and that pyarrow comes to the same rows and weights."""

from __future__ import annotations

from pathlib import Path

import speed_export


def test_the_export_stays_near_its_limit_and_ahead_of_pyarrow(tmp_path: Path) -> None:
    beside_scan, beside_pyarrow = speed_export.measure(speed_export.SLICE, tmp_path)
    assert beside_scan.figure < 6
    assert beside_pyarrow.figure > 0.8
