"""A retrain from rows to a decision, for every algorithm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from flywheel.errors import FlywheelError, ManifestError
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.encode import encode
from flywheel.registry.loading import LoadedModel, digest, load_verified
from flywheel.registry.version import RegisteredModel
from flywheel.training.evaluate import evaluate
from flywheel.training.fit import FittedModel, fit
from flywheel.training.holdout import NotEnoughData, split_by_time
from flywheel.training.train import Candidate, card_of, train_candidate

MakePipeline = Callable[..., Pipeline]
MakeRows = Callable[..., pl.DataFrame]
AS_OF = datetime(2013, 2, 1, tzinfo=UTC)

# Task, algorithm, parameters, metric, and the worst value of it that a model which learned something has here.
ALGORITHMS: list[tuple[str, str, dict[str, Any], str, float]] = [
    ("classification", "hist_gradient_boosting", {"max_iter": 20}, "auc", 0.9),
    ("classification", "random_forest", {"n_estimators": 20}, "auc", 0.9),
    ("classification", "sgd", {}, "auc", 0.9),
    ("regression", "hist_gradient_boosting", {"max_iter": 40}, "rmse", 6.0),
    ("regression", "random_forest", {"n_estimators": 20}, "rmse", 6.0),
    ("regression", "sgd", {}, "rmse", 6.0),
    ("anomaly", "isolation_forest", {"n_estimators": 50}, "auc", 0.75),
]
every_algorithm = pytest.mark.parametrize(
    ("task", "algorithm", "parameters", "metric", "bound"), ALGORITHMS, ids=lambda value: str(value)
)


def candidate_of(outcome: Candidate | NotEnoughData) -> Candidate:
    assert isinstance(outcome, Candidate), outcome
    return outcome


def as_champion(candidate: Candidate, pipeline: Pipeline) -> LoadedModel:
    """Register nowhere, but store and load as the registry does."""
    assert pipeline.training is not None
    data = candidate.model.to_bytes()
    registered = RegisteredModel(
        model_id="delays",
        version=1,
        pipeline=pipeline.name,
        training_key="first",
        status="champion",
        uri="x",
        sha256=digest(data),
        card=card_of(candidate, pipeline.training, AS_OF, "b1", "e1"),
        metrics=candidate.evaluation.metrics,
        created_at=AS_OF,
    )
    return load_verified(data, registered, "x")


@every_algorithm
def test_it_learns_passes_and_survives_storage(
    make_pipeline: MakePipeline,
    make_rows: MakeRows,
    task: str,
    algorithm: str,
    parameters: dict[str, Any],
    metric: str,
    bound: float,
) -> None:
    pipeline = make_pipeline(task, algorithm, parameters=parameters)
    rows = make_rows(task)
    candidate = candidate_of(train_candidate(rows, pipeline, None))
    figure = candidate.evaluation.metrics[metric]
    assert figure < bound if metric == "rmse" else figure > bound
    assert candidate.decision.passed
    assert candidate.model.rows == rows.height
    champion = as_champion(candidate, pipeline)
    again = FittedModel.of(champion)
    assert evaluate(again, rows) == evaluate(candidate.model, rows)
    # A model is never worse than itself, so with no gain asked for it passes, and with any it does not.
    twin = candidate_of(train_candidate(rows, make_pipeline(task, algorithm, parameters=parameters, refit=False), None))
    loaded = as_champion(twin, pipeline)
    gate = {"metric": metric, "min_gain": 0.001}
    strict = make_pipeline(task, algorithm, parameters=parameters, gate=gate)
    refused = candidate_of(train_candidate(rows, strict, loaded))
    assert not refused.decision.passed
    assert refused.decision.gain == 0
    assert refused.champion == refused.evaluation
    assert refused.model.rows < rows.height


@every_algorithm
def test_two_runs_give_one_model_whatever_the_order_of_the_rows(
    make_pipeline: MakePipeline,
    make_rows: MakeRows,
    task: str,
    algorithm: str,
    parameters: dict[str, Any],
    metric: str,
    bound: float,
) -> None:
    pipeline = make_pipeline(task, algorithm, parameters=parameters)
    rows = make_rows(task)
    one = candidate_of(train_candidate(rows, pipeline, None))
    two = candidate_of(train_candidate(rows.sample(fraction=1, shuffle=True, seed=7), pipeline, None))
    assert one.evaluation == two.evaluation
    matrix = encode(rows, one.model.encoding)
    assert np.array_equal(one.model.estimator.predict(matrix), two.model.estimator.predict(matrix))


def test_a_better_model_replaces_a_worse_one_and_not_the_other_way_round(
    make_pipeline: MakePipeline, make_rows: MakeRows
) -> None:
    pipeline = make_pipeline("classification", "hist_gradient_boosting", parameters={"max_iter": 20})
    rows = make_rows("classification")
    noise = rows.with_columns(pl.col("wind").reverse())
    poor = candidate_of(train_candidate(noise, pipeline, None))
    better = candidate_of(train_candidate(rows, pipeline, as_champion(poor, pipeline)))
    assert better.decision.passed
    assert better.decision.gain is not None
    assert better.decision.gain > 0.1
    assert "log_loss" in better.decision.reason
    newest = pl.col("event_time") > rows["event_time"].max() - timedelta(days=5)  # type: ignore[operator]
    mistaught = rows.with_columns(label=pl.when(newest).then("label").otherwise(pl.col("label").reverse()))
    worse = candidate_of(train_candidate(mistaught, pipeline, as_champion(better, pipeline)))
    assert not worse.decision.passed
    assert worse.decision.gain is not None
    assert worse.decision.gain < 0
    assert "worse by" in worse.decision.reason


def test_the_card_says_what_the_model_is(make_pipeline: MakePipeline, make_rows: MakeRows) -> None:
    pipeline = make_pipeline("classification", "sgd", parameters={"alpha": 0.01})
    assert pipeline.training is not None
    rows = make_rows("classification")
    candidate = candidate_of(train_candidate(rows, pipeline, None))
    card = card_of(candidate, pipeline.training, AS_OF, "b1", "e1")
    assert (card.task, card.algorithm, card.parameters) == ("classification", "sgd", {"alpha": 0.01})
    assert (card.classes, card.target, card.rows) == (["late", "on_time"], "late", 600)
    assert (card.trained_from, card.trained_to) == (rows["event_time"].min(), rows["event_time"].max())
    assert (card.as_of, card.baseline_id, card.export_id) == (AS_OF, "b1", "e1")
    assert card.encoding.features == ["wind", "gust", "origin", "carrier", "snow"]
    assert card.encoding.width == 6


def test_unlabelled_rows_teach_a_detector_and_nothing_else(make_pipeline: MakePipeline, make_rows: MakeRows) -> None:
    half = pl.int_range(pl.len()) % 2 == 0
    for task, algorithm, used in (("anomaly", "isolation_forest", 600), ("classification", "sgd", 300)):
        rows = make_rows(task).with_columns(label=pl.when(half).then("label"))
        candidate = candidate_of(train_candidate(rows, make_pipeline(task, algorithm), None))
        assert candidate.model.rows == used


def test_a_first_detector_needs_no_labels_at_all(make_pipeline: MakePipeline, make_rows: MakeRows) -> None:
    pipeline = make_pipeline("anomaly", "isolation_forest")
    rows = make_rows("anomaly").drop("label", "confidence", "weight", "prediction_id")
    candidate = candidate_of(train_candidate(rows, pipeline, None))
    assert candidate.decision.passed
    assert candidate.evaluation.metrics == {}
    assert candidate.model.target == "anomaly"
    # Without labels nothing says that a second one is better.
    second = candidate_of(train_candidate(rows, pipeline, as_champion(candidate, pipeline)))
    assert not second.decision.passed
    assert "can't be measured" in second.decision.reason


@pytest.mark.parametrize(
    ("change", "training", "reason"),
    [
        (lambda rows: rows.head(99), {}, "99 usable rows; training.min_rows is 100"),
        (lambda rows: rows.clear(), {}, "0 usable rows"),
        (lambda rows: rows, {"holdout": "400d"}, "no row is older than the hold-out"),
        (lambda rows: rows, {"holdout": "1h"}, "rows in the hold-out, the newest 1:00:00; 20 are needed"),
        (lambda rows: rows.filter(label="late"), {}, "only 'late' among the"),
        (lambda rows: rows.filter(label="on_time"), {}, "no 'late' among the"),
        (
            lambda rows: rows.filter(
                (pl.col("label") == "late") | (pl.col("event_time") < pl.col("event_time").max() - timedelta(days=5))
            ),
            {},
            "only 'late' among the",
        ),
    ],
)
def test_too_little_data_is_an_answer(
    make_pipeline: MakePipeline,
    make_rows: MakeRows,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    training: dict[str, Any],
    reason: str,
) -> None:
    pipeline = make_pipeline("classification", "sgd", **training)
    outcome = train_candidate(change(make_rows("classification")), pipeline, None)
    assert isinstance(outcome, NotEnoughData)
    assert reason in outcome.reason


@pytest.mark.parametrize(
    ("task", "algorithm", "parameters", "message"),
    [
        ("classification", "hist_gradient_boosting", {"max_itr": 5}, "did you mean 'max_iter'"),
        ("classification", "hist_gradient_boosting", {"max_iter": "many"}, "max_iter"),
        ("classification", "random_forest", {"random_state": 1}, "a field of training"),
        ("classification", "sgd", {"loss": "hinge"}, "gives no probabilities"),
        ("anomaly", "isolation_forest", {"max_iter": 5}, "is no parameter of it"),
    ],
)
def test_wrong_parameters_are_named(
    make_pipeline: MakePipeline,
    make_rows: MakeRows,
    task: str,
    algorithm: str,
    parameters: dict[str, Any],
    message: str,
) -> None:
    pipeline = make_pipeline(task, algorithm, parameters=parameters)
    with pytest.raises(ManifestError, match=message):
        train_candidate(make_rows(task), pipeline, None)


def test_a_pipeline_without_training_says_so(make_pipeline: MakePipeline, make_rows: MakeRows) -> None:
    pipeline = make_pipeline("classification", "sgd")
    without = pipeline.model_copy(update={"spec": pipeline.spec.model_copy(update={"training": None})})
    with pytest.raises(ManifestError, match="does not say how its model is trained"):
        train_candidate(make_rows("classification"), without, None)


def test_labels_that_are_no_numbers_stop_a_regression(make_pipeline: MakePipeline, make_rows: MakeRows) -> None:
    pipeline = make_pipeline("regression", "sgd")
    rows = make_rows("regression").with_columns(label=pl.lit("soon"))
    with pytest.raises(FlywheelError, match="labels are no numbers"):
        train_candidate(rows, pipeline, None)


def test_weights_count(make_pipeline: MakePipeline, make_rows: MakeRows) -> None:
    """Rows that weigh next to nothing teach nothing: the labels of half the rows are swapped, then made light."""
    pipeline = make_pipeline("classification", "hist_gradient_boosting", parameters={"max_iter": 20})
    assert pipeline.training is not None
    rows = make_rows("classification").with_columns(confidence=pl.lit(1.0), weight=pl.lit(1.0))
    half = pl.int_range(pl.len()) % 2 == 0
    swapped = pl.when(pl.col("label") == "late").then(pl.lit("on_time")).otherwise(pl.lit("late"))
    confused = rows.with_columns(label=pl.when(half).then(swapped).otherwise("label"))
    light = pl.when(half).then(pl.lit(1e-6)).otherwise(pl.lit(1.0))
    truth = split_by_time(rows, timedelta(days=5)).holdout

    def auc_of(taught: pl.DataFrame) -> float:
        model = fit(taught, pipeline, pipeline.training)  # type: ignore[arg-type]
        return evaluate(model, truth).metrics["auc"]

    assert auc_of(confused) < 0.75
    assert auc_of(confused.with_columns(weight=light)) > 0.9
    assert auc_of(confused.with_columns(confidence=light)) > 0.9
