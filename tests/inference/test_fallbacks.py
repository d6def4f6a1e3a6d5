"""Each fallback does what it says, whatever the failure."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from flywheel.errors import InferenceError
from flywheel.inference.breaker import CircuitBreaker, OpenGate
from flywheel.inference.client import ModelClient
from flywheel.inference.predict import Target, predict, predict_nothing
from flywheel.records.encode import Encoding, Input
from flywheel.registry.card import ModelCard

MATRIX = np.round(np.random.default_rng(0).random((100, 2)), 3)
CARD = ModelCard(
    task="classification",
    algorithm="sgd",
    encoding=Encoding(inputs=[Input(feature=name, kind="number") for name in ("wind", "distance")]),
    classes=["late", "on_time"],
    target="late",
    rows=100,
    as_of=datetime(2013, 2, 1, tzinfo=UTC),
    baseline_id="b1",
)
TARGET = Target("flights", 3, CARD)
TRAINING = {"task": "classification", "algorithm": "sgd", "target": "late"}
DEFAULT = {"label": "on_time", "score": 0.2}
STRUCT = pl.Struct({"label": pl.String, "score": pl.Float64})


def settings(fallback: str) -> dict:
    extra = {"use_default": {"default_prediction": DEFAULT}, "use_last_known": {"entity_key": "$.tail"}}
    return {"fallback": fallback, "batch_size": 20, "timeout_ms": 800, "max_retries": 0} | extra.get(fallback, {})


def late(context) -> None:
    is_over = threading.Event()
    context.add_callback(is_over.set)
    is_over.wait(10)


@pytest.fixture(params=["deadline", "dead", "nan", "shape"])
def failing(request, fake, tensors):
    """A server that answers nothing usable for the rows 20 to 40 (``dead``: for no row at all)."""
    kind = request.param

    def answer(matrix, context):
        if MATRIX[20, 0] != matrix[0, 0]:
            return tensors.probabilities(matrix, context)
        if kind == "deadline":
            late(context)
        bad = {"nan": np.full((20, 2), np.nan), "shape": np.zeros((5, 2))}
        return tensors.response(probabilities=bad.get(kind, np.zeros((20, 2))))

    fake.answer = answer
    failed = np.zeros(100, bool)
    failed[20:40] = True
    if kind == "dead":
        fake.address = "127.0.0.1:1"
        failed[:] = True
    return failed


@pytest.fixture
def run(fake, pipeline_of, frame_of):
    def score(fallback: str, last_known: pl.DataFrame | None = None):
        pipeline = pipeline_of(TRAINING, **settings(fallback))
        with ModelClient(fake.address, pipeline.inference) as client:
            return predict(frame_of(MATRIX), MATRIX, client, OpenGate(), TARGET, pipeline, last_known)

    return score


def expected_rows(failed: np.ndarray, status: str) -> tuple[list[str], list[dict | None]]:
    truth = [{"label": "late" if p >= 0.5 else "on_time", "score": p} for p in MATRIX[:, 0].tolist()]
    statuses = [status if bad else "ok" for bad in failed]
    return statuses, [None if bad else row for bad, row in zip(failed, truth, strict=True)]


def test_without_a_failure_every_row_is_ok(run, fake):
    scored = run("error")
    statuses, predictions = expected_rows(np.zeros(100, bool), "")
    assert scored.rows.schema["prediction"] == STRUCT
    assert scored.rows["status"].to_list() == statuses
    assert scored.rows["prediction"].to_list() == predictions
    assert scored.rows.columns[:5] == ["prediction_id", "event_time", "entity", "wind", "distance"]
    assert scored.dead.is_empty()
    assert scored.failures == []
    assert fake.requests[0].model_version == "3"


@pytest.mark.parametrize("fallback", ["passthrough", "return_null"])
def test_rows_go_on_without_a_prediction(run, failing, fallback):
    scored = run(fallback)
    statuses, predictions = expected_rows(failing, fallback)
    assert scored.rows["status"].to_list() == statuses
    assert scored.rows["prediction"].to_list() == predictions
    assert scored.rows.schema["prediction"] == STRUCT
    assert scored.dead.is_empty()
    assert sum(int(line.partition(" rows: ")[0]) for line in scored.failures) == failing.sum()


def test_the_default_takes_the_place_of_a_prediction(run, failing):
    scored = run("use_default")
    statuses, predictions = expected_rows(failing, "use_default")
    assert scored.rows["status"].to_list() == statuses
    assert scored.rows["prediction"].to_list() == [row or DEFAULT for row in predictions]


def test_an_error_stops_the_run(run, failing):
    with pytest.raises(InferenceError, match=f"gave no prediction for {failing.sum()} of 100 rows") as stopped:
        run("error")
    assert "nothing of this batch was written" in stopped.value.state
    assert "serve-models" in stopped.value.next_step


def test_dead_letters_leave_the_batch_with_their_reason(run, failing, frame_of):
    scored = run("send_to_dlq")
    rows = frame_of(MATRIX)
    assert scored.rows["prediction_id"].to_list() == rows.filter(~failing)["prediction_id"].to_list()
    assert set(scored.rows["status"]) <= {"ok"}
    assert scored.dead.drop("reason").equals(rows.filter(failing))
    assert scored.dead["reason"].null_count() == 0


def test_the_last_known_prediction_of_the_entity_is_repeated(run, failing):
    earlier = pl.DataFrame(
        {"entity": ["tail-0", "tail-1"], "prediction": [{"label": "late", "score": 0.9}, DEFAULT]},
        schema={"entity": pl.String, "prediction": STRUCT},
    )
    scored = run("use_last_known", earlier)
    statuses, predictions = expected_rows(failing, "use_last_known")
    entities = scored.rows["entity"].to_list()
    known = dict(zip(earlier["entity"], earlier["prediction"], strict=True))
    known |= {entity: row for entity, row in zip(entities, predictions, strict=True) if row}
    repeated = [row or known.get(entity) for entity, row in zip(entities, predictions, strict=True)]
    assert scored.rows["status"].to_list() == statuses
    assert scored.rows["prediction"].to_list() == repeated
    assert scored.rows.columns == ["prediction_id", "event_time", "entity", "wind", "distance", "prediction", "status"]


@pytest.mark.parametrize("known", [None, [{"label": "late", "score": 0.9}], []])
def test_the_last_known_prediction_where_there_are_no_entities(frame_of, pipeline_of, known):
    pipeline = pipeline_of(TRAINING, fallback="use_last_known")
    rows = frame_of(MATRIX).drop("entity")
    earlier = None if known is None else pl.DataFrame({"prediction": known}, schema={"prediction": STRUCT})
    scored = predict_nothing(rows, TARGET, pipeline, "drift", earlier)
    assert scored.rows["prediction"].to_list() == [known[0] if known else None] * 100
    assert set(scored.rows["status"]) == {"use_last_known"}
    assert scored.failures == ["100 rows: drift"]


def test_an_open_circuit_is_a_failure_like_any_other(fake, pipeline_of, frame_of, database):
    pipeline = pipeline_of(TRAINING, **settings("passthrough"))
    breaker = CircuitBreaker(database, fake.address, "flights", pipeline.inference.circuit_breaker)
    for _ in range(5):
        breaker.failure("UNAVAILABLE: nobody there")
    with ModelClient(fake.address, pipeline.inference) as client:
        scored = predict(frame_of(MATRIX), MATRIX, client, breaker, TARGET, pipeline)
    assert fake.requests == []
    assert set(scored.rows["status"]) == {"passthrough"}
    assert "is open after 5 failures" in scored.failures[0]


@pytest.mark.parametrize("fallback", ["passthrough", "use_default", "use_last_known", "send_to_dlq", "error"])
def test_no_rows_are_no_trouble(fake, pipeline_of, frame_of, fallback):
    pipeline = pipeline_of(TRAINING, **settings(fallback))
    with ModelClient(fake.address, pipeline.inference) as client:
        scored = predict(frame_of(MATRIX[:0]), MATRIX[:0], client, OpenGate(), TARGET, pipeline)
    assert scored.rows.is_empty()
    assert scored.rows.schema["prediction"] == STRUCT
    assert scored.rows.schema["status"] == pl.String


def test_fields_are_taken_from_the_tensors_of_another_server(fake, pipeline_of, frame_of, tensors):
    outputs = {
        "late": {"tensor": "predict_proba", "index": 1},
        "first": {"tensor": "predict_proba", "index": 0},
        "flag": {"tensor": "predict"},
    }
    pipeline = pipeline_of(outputs=outputs)
    fake.answer = lambda matrix, context: tensors.response(
        predict_proba=np.column_stack([1 - matrix[:, 0], matrix[:, 0]]).astype(np.float32),
        predict=(matrix[:, :1] > 0.5),
    )
    with ModelClient(fake.address, pipeline.inference) as client:
        scored = predict(frame_of(MATRIX), MATRIX, client, OpenGate(), Target("flights", None, None), pipeline)
    fields = scored.rows["prediction"].struct.unnest()
    assert fields.schema == {"late": pl.Float64, "first": pl.Float64, "flag": pl.Float64}
    np.testing.assert_allclose(fields["late"].to_numpy(), MATRIX[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(fields["flag"].to_numpy(), MATRIX[:, 0] > 0.5)
    assert sorted(output.name for output in fake.requests[0].outputs) == ["predict", "predict_proba"]
    assert fake.requests[0].model_version == ""


def test_an_anomaly_and_a_regression(fake, pipeline_of, frame_of, tensors):
    fake.answer = lambda matrix, context: tensors.response(score=matrix[:, 0].copy(), is_anomaly=matrix[:, 0] > 0.9)
    pipeline = pipeline_of({"task": "anomaly", "algorithm": "isolation_forest"})
    target = Target("flights", None, None)
    with ModelClient(fake.address, pipeline.inference) as client:
        rows = predict(frame_of(MATRIX), MATRIX, client, OpenGate(), target, pipeline).rows
    assert rows["prediction"].to_list()[:2] == [{"is_anomaly": x > 0.9, "score": x} for x in MATRIX[:2, 0]]
    fake.answer = lambda matrix, context: tensors.response(value=matrix[:, :1].copy())
    pipeline = pipeline_of({"task": "regression", "algorithm": "sgd"})
    with ModelClient(fake.address, pipeline.inference) as client:
        rows = predict(frame_of(MATRIX), MATRIX, client, OpenGate(), target, pipeline).rows
    assert rows["prediction"].struct.field("value").to_list() == MATRIX[:, 0].tolist()
