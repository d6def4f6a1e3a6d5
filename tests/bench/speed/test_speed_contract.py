"""A slice of line 7: equal counts, and far less work than great_expectations."""

from __future__ import annotations

from pathlib import Path

import speed_contract


def test_the_contract_counts_what_great_expectations_counts_and_costs_less(tmp_path: Path) -> None:
    (line,) = speed_contract.measure(speed_contract.SLICE, tmp_path)
    assert line.figure > line.goal / 4
