"""The short slice of line 5: what is around the model costs a few times the model, and every row is logged."""

from __future__ import annotations

from pathlib import Path

from speed_batch import SLICE, batch_lines, costs_of_batches


def test_a_batch_costs_little_beside_its_model(tmp_path: Path) -> None:
    found = costs_of_batches(tmp_path, SLICE)
    assert found["batch"].cpu < 8 * found["scikit-learn"].cpu
    assert found["batch"].peak < 2**30
    assert all(line.figure > 0 for line in batch_lines(found, SLICE))
