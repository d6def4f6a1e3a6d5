"""The short slice of line 5: what is around the model costs a few times the model, and every row is logged."""

from __future__ import annotations

from pathlib import Path

from speed_batch import SLICE, contenders
from speed_run import compare


def test_a_batch_costs_little_beside_its_model(tmp_path: Path) -> None:
    two = [each for each in contenders(tmp_path, SLICE) if each.name in ("batch", "scikit-learn")]
    found = compare(two, SLICE.runs)
    assert found["batch"].cpu < 8 * found["scikit-learn"].cpu
    assert found["batch"].peak < 2**30
