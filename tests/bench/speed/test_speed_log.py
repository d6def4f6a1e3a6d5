"""The short slice of line 3: appends do not get slower, and a maintained log is read like plain Parquet."""

from __future__ import annotations

from pathlib import Path

from speed_log import SLICE, measure


def test_the_log_stays_quick(tmp_path: Path) -> None:
    append, scan = measure(SLICE, tmp_path)
    assert append.figure < 2
    assert scan.figure < 4
