"""A thousand streams with labels that come late, and later for one class: bias and coverage of what is said of the
newest window, beside what its labelled rows say by themselves. ``tests/performance/late_labels.py`` has the streams.

``FLYWHEEL_BENCH_STREAMS`` sets how many.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "performance"))

from late_labels import TRUTH, Seen, late_positives, late_values

pytestmark = pytest.mark.bench
STREAMS = int(os.environ.get("FLYWHEEL_BENCH_STREAMS", "1000"))


def figures(seen: list[Seen], metric: str) -> dict[str, float]:
    """Bias against what each window came to in the end, coverage of the truth behind it."""
    final = np.array([each.final[metric] for each in seen])
    naive = np.array([each.naive[metric] for each in seen]) - final
    found = [each.corrected.metrics[metric] for each in seen]
    error = np.array([each.value for each in found]) - final
    covered = np.array([(each.low or 0) <= TRUTH[metric] <= (each.high or 0) for each in found])
    return {
        "naive bias": float(naive.mean()),
        "corrected bias": float(error.mean()),
        "its standard error": float(error.std() / len(seen) ** 0.5),
        "coverage": float(covered.mean()),
    }


@pytest.mark.parametrize(
    ("stream", "metrics"), [(late_positives, ("log_loss", "accuracy", "average_precision")), (late_values, ("mae",))]
)
def test_bias_and_coverage(stream: Callable[[int], Seen], metrics: tuple[str, ...]) -> None:
    seen = [stream(seed) for seed in range(STREAMS)]
    for metric in metrics:
        found = figures(seen, metric)
        print(stream.__name__, metric, {name: round(value, 5) for name, value in found.items()})
        assert abs(found["corrected bias"]) < 0.1 * abs(found["naive bias"])
        assert 0.93 <= found["coverage"] <= 0.97
