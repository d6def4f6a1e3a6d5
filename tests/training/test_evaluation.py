"""The figures that decide, against scikit-learn on rows repeated as often as they weigh."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, mean_absolute_error, mean_squared_error, roc_auc_score

from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.training import Gate
from flywheel.training.evaluate import Evaluation, evaluate, score_metrics, value_metrics
from flywheel.training.fit import fit
from flywheel.training.gate import HIGHER_IS_BETTER, decide
from flywheel.training.holdout import split_by_time

START = datetime(2013, 1, 1, tzinfo=UTC)
scored = st.lists(
    st.tuples(st.booleans(), st.integers(1, 99).map(lambda percent: percent / 100), st.integers(1, 5)),
    min_size=2,
    max_size=60,
)


@settings(deadline=None, max_examples=50)
@given(scored)
def test_a_row_of_weight_three_counts_as_three_rows(rows: list[tuple[bool, float, int]]) -> None:
    truth, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    weights = np.array([float(row[2]) for row in rows])
    found = score_metrics(truth, score, weights)
    if len(set(truth)) < 2:
        assert found == {}
        return
    repeats = weights.astype(int)
    many_truth, many_score = np.repeat(truth, repeats), np.repeat(score, repeats)
    assert found["auc"] == pytest.approx(roc_auc_score(many_truth, many_score))
    assert found["average_precision"] == pytest.approx(average_precision_score(many_truth, many_score))
    assert found["log_loss"] == pytest.approx(log_loss(many_truth, many_score))


@given(scored)
def test_errors_of_values_are_weighted_too(rows: list[tuple[bool, float, int]]) -> None:
    truth, value = np.array([float(row[0]) for row in rows]), np.array([row[1] for row in rows])
    weights = np.array([float(row[2]) for row in rows])
    found = value_metrics(truth, value, weights)
    assert found["rmse"] == pytest.approx(math.sqrt(mean_squared_error(truth, value, sample_weight=weights)))
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, value, sample_weight=weights))


def test_accuracy_counts_every_class(
    make_pipeline: Callable[..., Pipeline], make_rows: Callable[..., pl.DataFrame]
) -> None:
    """A third label is one more class; the score stays the probability of the target."""
    pipeline = make_pipeline("classification", "hist_gradient_boosting", parameters={"max_iter": 20})
    assert pipeline.training is not None
    cancelled = pl.when(pl.col("wind") < -1).then(pl.lit("cancelled")).otherwise("label")
    rows = make_rows("classification").with_columns(label=cancelled, confidence=pl.lit(1.0), weight=pl.lit(1.0))
    model = fit(rows, pipeline, pipeline.training)
    assert model.classes == ["cancelled", "late", "on_time"]
    metrics = evaluate(model, rows).metrics
    assert metrics["accuracy"] > 0.9
    assert metrics["auc"] > 0.95
    never_seen = rows.with_columns(label=pl.lit("diverted"))
    assert evaluate(model, never_seen).metrics == {"accuracy": 0.0}


metrics = st.sampled_from(["auc", "log_loss", "accuracy", "rmse", "mae", "average_precision"])
figures = st.floats(0, 1)


@given(metrics, figures, figures, st.floats(0, 0.5))
def test_the_gate_passes_exactly_what_gains_enough(metric: str, ours: float, theirs: float, min_gain: float) -> None:
    gate = Gate.model_validate({"metric": metric, "min_gain": min_gain})
    decision = decide(Evaluation(10, {metric: ours}), Evaluation(10, {metric: theirs}), gate)
    gain = ours - theirs if metric in HIGHER_IS_BETTER else theirs - ours
    assert decision.gain == pytest.approx(gain, abs=1e-11)
    if abs(gain - min_gain) > 1e-11:
        assert decision.passed == (gain > min_gain)
    assert metric in decision.reason


def test_what_cannot_be_measured_does_not_pass() -> None:
    decision = decide(Evaluation(10, {}), Evaluation(10, {"auc": 0.5}), Gate(metric="auc"))
    assert not decision.passed
    assert decision.gain is None


def test_the_first_model_passes() -> None:
    decision = decide(Evaluation(10, {"auc": 0.4}), None, Gate(metric="auc", min_gain=0.5))
    assert decision.passed
    assert decision.reason == "there is no champion to beat (auc 0.4000 on 10 rows)"


@given(st.lists(st.integers(0, 1000), max_size=50), st.integers(1, 400))
def test_the_hold_out_is_the_newest_part_and_nothing_is_lost(hours: list[int], length: int) -> None:
    times = pl.Series([START + timedelta(hours=hour) for hour in hours], dtype=pl.Datetime("us", "UTC"))
    rows = pl.DataFrame({"event_time": times, "row": range(len(hours))}, schema_overrides={"row": pl.Int64})
    split = split_by_time(rows, timedelta(hours=length))
    if not hours:
        assert split.train.is_empty()
        return
    assert sorted([*split.train["row"], *split.holdout["row"]]) == list(range(len(hours)))
    cutoff = START + timedelta(hours=max(hours) - length)
    assert all(time > cutoff for time in split.holdout["event_time"])
    assert all(time <= cutoff for time in split.train["event_time"])
