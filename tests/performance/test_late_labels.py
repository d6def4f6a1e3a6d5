"""A slice of the proof: bias and coverage of open windows' metrics. All of it: ``make bench-drift``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from late_labels import TRUTH, Seen, late_positives, late_values

STREAMS = 40


@pytest.mark.parametrize(("stream", "metrics"), [(late_positives, ("log_loss", "accuracy")), (late_values, ("mae",))])
def test_an_open_window_is_estimated_with_hardly_a_bias(stream: Callable[..., Seen], metrics: tuple[str, ...]) -> None:
    seen = [stream(seed, replicates=60) for seed in range(STREAMS)]
    for metric in metrics:
        final = np.array([each.final[metric] for each in seen])
        naive = np.array([each.naive[metric] for each in seen]) - final
        found = [each.corrected.metrics[metric] for each in seen]
        error = np.array([each.value for each in found]) - final
        assert abs(error.mean()) < 0.1 * abs(naive.mean()) + 2 * error.std() / STREAMS**0.5
        assert abs(naive.mean()) > 4 * abs(error.mean())
        covered = [(each.low or 0) <= TRUTH[metric] <= (each.high or 0) for each in found]
        assert np.mean(covered) > 0.85


def test_the_same_seed_gives_the_same_interval() -> None:
    assert late_positives(1, 300, 300, 20) == late_positives(1, 300, 300, 20)
