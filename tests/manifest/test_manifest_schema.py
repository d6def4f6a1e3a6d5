"""The columns that follow from a manifest, and the values that its fields become."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from flywheel.manifest.load import parse
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import output_schema, payload_schema, prediction_struct, record_schema


@pytest.fixture
def whole(whole_text: str) -> Pipeline:
    return parse(whole_text).pipeline("whole")


def test_the_feature_columns(whole: Pipeline) -> None:
    assert record_schema(whole) == {
        "amount": pl.Float64,
        "hour": pl.Int64,
        "country": pl.String,
        "new": pl.Boolean,
        "colour": pl.String,
        "size": pl.Int64,
    }


def test_a_prediction_row(whole: Pipeline) -> None:
    time = pl.Datetime("us", "UTC")
    assert list(output_schema(whole).items()) == [
        ("prediction_id", pl.String),
        ("event_time", time),
        ("predicted_at", time),
        ("model_id", pl.String),
        ("model_version", pl.Int64),
        ("variant", pl.String),
        ("batch_id", pl.Int64),
        ("status", pl.String),
        ("sample_key", pl.Int64),
        ("entity", pl.String),
        *record_schema(whole).items(),
        ("prediction", pl.Struct({"label": pl.String, "score": pl.Float64})),
    ]


def test_the_payload_of_an_event(whole: Pipeline) -> None:
    assert whole.feedback is not None
    assert payload_schema(whole.feedback) == {"lost": pl.Float64, "reason": pl.String}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("task: classification", "task: classification", pl.Struct({"label": pl.String, "score": pl.Float64})),
        (
            "task: classification\n    algorithm: sgd",
            "task: anomaly\n    algorithm: isolation_forest",
            pl.Struct({"is_anomaly": pl.Boolean, "score": pl.Float64}),
        ),
    ],
)
def test_the_prediction(whole_text: str, old: str, new: str, expected: pl.Struct) -> None:
    text = whole_text.replace(old, new).replace("{label: fine, score: 0.0}", "{score: 0.0}")
    assert prediction_struct(parse(text).pipeline("whole")) == expected


def test_a_prediction_that_only_the_server_knows(seed_text: str) -> None:
    seed = parse(seed_text).pipeline("anomaly-detection")
    assert prediction_struct(seed) is None
    assert "anomaly_prediction" not in output_schema(seed)
    outputs = "outputs: {is_anomaly: {tensor: label}, score: {tensor: p, index: 1}}\n        timeout_ms: 100"
    with_outputs = seed_text.replace("timeout_ms: 100", outputs).replace(".is_anomaly &&", ".is_anomaly > 0.5 &&")
    struct = prediction_struct(parse(with_outputs).pipeline("anomaly-detection"))
    assert struct == pl.Struct({"is_anomaly": pl.Float64, "score": pl.Float64})


def test_durations_and_times(whole_text: str) -> None:
    text = whole_text.replace(
        "target: fraud",
        "target: fraud\n    holdout: 36h\n    bootstrap: {source: s, label_field: $.l, until: 2013-02-01}",
    ).replace("window: 7d", "window: 2w\n        cooldown: 0s")
    pipeline = parse(text).pipeline("whole")
    assert pipeline.training is not None
    assert pipeline.training.bootstrap is not None
    assert pipeline.drift is not None
    assert pipeline.training.holdout == timedelta(hours=36)
    assert pipeline.training.bootstrap.until == datetime(2013, 2, 1, tzinfo=UTC)
    assert (pipeline.drift.window, pipeline.drift.cooldown) == (timedelta(weeks=2), timedelta(0))


@pytest.mark.parametrize(
    ("written", "text"), [("true", "true"), ("1", "1"), ("2.5", "2.5"), ("late", "late"), ("'no'", "no"), ("no", "no")]
)
def test_a_label_is_text_as_it_was_written(whole_text: str, written: str, text: str) -> None:
    changed = whole_text.replace("label: fine, when", f"label: {written}, when")
    feedback = parse(changed).pipeline("whole").feedback
    assert feedback is not None
    assert feedback.labels[1].label_text == text


def test_a_pipeline_survives_json(whole: Pipeline) -> None:
    assert Pipeline.model_validate_json(whole.model_dump_json()) == whole
