"""What the gate lets through, what it refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from flywheel.export.bounds import logged_bounds
from flywheel.export.checks import checks_of, known_labels
from flywheel.export.gate import check_rows
from flywheel.manifest.features import Feature
from flywheel.manifest.pipeline import Pipeline

MakePipeline = Callable[..., Pipeline]


@pytest.fixture
def rows(make_predictions: Callable[[int], pl.DataFrame], make_labels: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    predictions = make_predictions(200)
    labels = make_labels(predictions).select("prediction_id", "label", "confidence")
    return predictions.join(labels, on="prediction_id").with_columns(weight=pl.lit(1.0))


def first_row(column: str, value: Any) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(value)).otherwise(column).alias(column)


def test_sound_rows_pass_and_the_report_is_a_page(make_pipeline: MakePipeline, rows: pl.DataFrame) -> None:
    report = check_rows(rows, make_pipeline())
    assert report.passed
    assert report.checks == len(checks_of(make_pipeline()))
    assert report.html.startswith("<!DOCTYPE html>")
    assert "Great Expectations" in report.html


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        (first_row("prediction_id", None), "prediction_id is never missing: 1 of 200 rows"),
        (first_row("prediction_id", "AA-7"), "prediction_id is unique: 2 of 200 rows, e.g. 'AA-7'"),
        (first_row("event_time", None), "event_time is never missing: 1 of 200 rows"),
        (first_row("label", "maybe"), "label is one of 'late', 'on_time': 1 of 200 rows, e.g. 'maybe'"),
        (first_row("label", None), "label is never missing: 1 of 200 rows"),
        (first_row("confidence", 0.0), "confidence is above 0 and at most 1: 1 of 200 rows, e.g. 0.0"),
        (first_row("confidence", 1.5), "confidence is above 0 and at most 1: 1 of 200 rows, e.g. 1.5"),
        (first_row("weight", 0.5), "weight is at least 1: 1 of 200 rows, e.g. 0.5"),
        (first_row("weight", float("nan")), "weight is never missing: 1 of 200 rows"),
        (first_row("wind", -0.001), "wind is at least 0 and at most 100: 1 of 200 rows, e.g. -0.001"),
        (first_row("wind", None), "wind is never missing: 1 of 200 rows"),
        (first_row("wind", float("nan")), "wind is never missing: 1 of 200 rows"),
        (first_row("origin", "LGA"), "origin is one of 'EWR', 'JFK': 1 of 200 rows, e.g. 'LGA'"),
    ],
)
def test_one_wrong_row_is_found_and_named(
    make_pipeline: MakePipeline, rows: pl.DataFrame, breakage: pl.Expr, message: str
) -> None:
    report = check_rows(rows.with_columns(breakage), make_pipeline())
    assert [str(failure) for failure in report.failures] == [message]


def test_every_failure_is_named_in_the_order_of_the_checks(make_pipeline: MakePipeline, rows: pl.DataFrame) -> None:
    broken = rows.with_columns(first_row("origin", "LGA"), weight=pl.lit(0.0))
    failures = check_rows(broken, make_pipeline({"min_rows": 500})).failures
    assert [failure.check.column for failure in failures] == ["", "weight", "origin"]
    assert str(failures[0]) == "the export has at least 500 rows: found 200"
    assert failures[1].unexpected == 200


def test_an_empty_export_fails(make_pipeline: MakePipeline, rows: pl.DataFrame) -> None:
    failures = check_rows(rows.clear(), make_pipeline()).failures
    assert [str(failure) for failure in failures] == ["the export has at least 1 rows: found 0"]


def test_a_check_that_cannot_be_evaluated_fails(make_pipeline: MakePipeline, rows: pl.DataFrame) -> None:
    failures = check_rows(rows.with_columns(wind=pl.lit("calm")), make_pipeline()).failures
    assert len(failures) == 1
    assert failures[0].check.column == "wind"
    assert "could not be evaluated" in failures[0].found


def test_regression_labels_must_be_numbers(make_pipeline: MakePipeline, rows: pl.DataFrame) -> None:
    pipeline = make_pipeline()
    regression = pipeline.spec.training.model_copy(update={"task": "regression"})  # type: ignore[union-attr]
    spec = pipeline.spec.model_copy(update={"training": regression})
    pipeline = pipeline.model_copy(update={"spec": spec})
    assert check_rows(rows.with_columns(label=pl.lit("12.5")), pipeline).passed
    wrong = rows.with_columns(label=pl.Series(["12.5"] * 198 + ["soon", "inf"]))
    assert [str(one) for one in check_rows(wrong, pipeline).failures] == ["label is never missing: 2 of 200 rows"]


def test_labels_that_events_carry_are_not_limited(make_pipeline: MakePipeline) -> None:
    pipeline = make_pipeline()
    assert known_labels(pipeline) == ("late", "on_time")
    feedback = pipeline.spec.feedback
    assert feedback is not None
    rule = feedback.labels[0].model_copy(update={"label": None, "label_field": "$.label"})
    spec = pipeline.spec.model_copy(update={"feedback": feedback.model_copy(update={"labels": [rule]})})
    assert known_labels(pipeline.model_copy(update={"spec": spec})) is None


@pytest.mark.parametrize(
    ("feature", "bounds"),
    [
        ({}, (None, None)),
        ({"minimum": 1, "maximum": 5}, (1, 5)),
        ({"transform": {"clip": {"min": 0, "max": 1}}}, (0, 1)),
        ({"minimum": 0.5, "transform": {"clip": {"min": 0, "max": 1}}}, (0.5, 1)),
        ({"minimum": 7, "transform": {"clip": {"max": 1}}}, (1, 1)),
        ({"transform": {"bucketize": {"boundaries": [1, 2, 3]}}, "maximum": 9}, (0, 3)),
        ({"minimum": 0, "maximum": 50, "transform": {"normalize": {"min": 0, "max": 100}}}, (0, 0.5)),
        ({"minimum": 0, "transform": {"standardize": {"mean": 10, "std": 5}}}, (-2, None)),
        ({"minimum": 0, "maximum": 1.718281828459045, "transform": "log1p"}, (0, 1)),
        ({"minimum": -5, "transform": "log1p"}, (None, None)),
    ],
)
def test_limits_are_seen_through_the_transform(feature: dict[str, Any], bounds: tuple[Any, Any]) -> None:
    low, high = logged_bounds(Feature.model_validate({"name": "x", "source_field": "$.x", **feature}))
    assert low == (None if bounds[0] is None else pytest.approx(bounds[0], abs=1e-8))
    assert high == (None if bounds[1] is None else pytest.approx(bounds[1], abs=1e-8))
