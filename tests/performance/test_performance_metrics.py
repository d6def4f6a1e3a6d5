"""Weighted metrics are scikit-learn's, for one set of weights and for many at once."""

from __future__ import annotations

import numpy as np
import pytest

from flywheel.performance.metrics import ClassRows, ValueRows
from flywheel.training.evaluate import score_metrics, value_metrics


@pytest.mark.parametrize("ties", [False, True])
def test_class_metrics_are_those_of_the_evaluation(ties: bool) -> None:
    random = np.random.default_rng(3)
    truth = random.random(500) < 0.3
    score = np.clip(random.normal(np.where(truth, 0.6, 0.4), 0.3), 0, 1)
    score = score.round(1) if ties else score
    rows = ClassRows(truth, score, (score > 0.5) == truth)
    weights = random.standard_exponential((4, 500))
    together = rows.metrics(weights)
    for number, own in enumerate(weights):
        wanted = {**score_metrics(truth, score, own), "accuracy": np.average(rows.is_right, weights=own)}
        assert {name: values[number] for name, values in together.items()} == pytest.approx(wanted)
        assert {name: float(value) for name, value in rows.metrics(own).items()} == pytest.approx(wanted)


def test_value_metrics_are_those_of_the_evaluation() -> None:
    random = np.random.default_rng(4)
    truth, value, weights = random.normal(size=50), random.normal(size=50), random.random(50)
    found = {name: float(one) for name, one in ValueRows(value - truth).metrics(weights).items()}
    assert found == pytest.approx(value_metrics(truth, value, weights))


def test_what_one_class_can_not_tell_is_nan_and_not_nought() -> None:
    rows = ClassRows(np.array([True, True]), np.array([0.2, 0.9]), np.array([False, True]))
    found = rows.metrics(np.ones(2))
    assert [name for name, value in found.items() if np.isnan(value)] == ["auc", "average_precision", "log_loss"]
    assert found["accuracy"] == 0.5


def test_no_rows_say_nothing() -> None:
    nothing = np.zeros(0)
    assert np.isnan(ValueRows(nothing).metrics(nothing)["rmse"])
