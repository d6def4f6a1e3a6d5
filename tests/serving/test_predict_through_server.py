"""The whole path of a batch: encode, ask our own server, read its answers."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
import polars as pl

from flywheel.inference.breaker import CircuitBreaker
from flywheel.inference.client import ModelClient
from flywheel.inference.compatible import check_model
from flywheel.inference.predict import Target, predict
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.encode import encode
from flywheel.serving.server import ModelServer


def pipeline_on(address: str) -> Pipeline:
    names = ["wind", "distance", "origin"]
    features = [{"name": name, "source_field": f"$.{name}"} for name in names]
    features[2] |= {"type": "category", "nullable": True}
    inference = {
        "model_endpoint": address,
        "model_id": "flights",
        "input_features": names,
        "batch_size": 50,
        "max_retries": 4,
        "timeout_ms": 20_000,
    }
    stages = [
        {"id": "features", "type": "feature-extraction", "config": {"features": features}},
        {"id": "inference", "type": "ml-inference", "config": inference},
    ]
    training = {"task": "classification", "algorithm": "hist_gradient_boosting", "target": "late"}
    return Pipeline.model_validate(
        {
            "apiVersion": "flywheel-ml.io/v1",
            "kind": "FlywheelPipeline",
            "metadata": {"name": "p"},
            "spec": {"source": "flights", "prediction_id": "$.id", "stages": stages, "training": training},
        }
    )


def records(count: int) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "event_time": pl.repeat(datetime(2013, 2, 1, tzinfo=UTC), count, eager=True),
            "wind": rng.normal(size=count),
            "distance": rng.normal(size=count),
            "origin": rng.choice(["EWR", "JFK", "LGA", None], count).tolist(),
        }
    )


def test_a_batch_scored_by_the_server_is_the_models_own_answer(workshop, server):
    registered, model = workshop.flights("first")
    workshop.promote(registered)
    workshop.promote(workshop.flights("second", 0.8)[0])  # the batch stays pinned to the first version
    pipeline, rows = pipeline_on(server.address), records(1000)
    matrix = encode(rows, registered.card.encoding)
    breaker = CircuitBreaker(workshop.registry.database, server.address, "flights", pipeline.inference.circuit_breaker)
    with ModelClient(server.address, pipeline.inference) as client:
        check_model(client.info("flights"), registered.card, pipeline)
        scored = predict(rows, matrix, client, breaker, Target("flights", 1, registered.card), pipeline)
    truth = model.predict_proba(matrix)
    fields = scored.rows["prediction"].struct.unnest()
    np.testing.assert_array_equal(fields["score"].to_numpy(), truth[:, 0])
    assert fields["label"].to_list() == np.where(truth[:, 0] >= truth[:, 1], "late", "on_time").tolist()
    assert scored.rows["status"].unique().to_list() == ["ok"]


def test_a_server_that_restarts_is_waited_for_by_grpcs_retries(workshop):
    registered, _ = workshop.flights("first")
    workshop.promote(registered)
    first = ModelServer(workshop.registry, "127.0.0.1:0")
    address = first.start()
    pipeline, rows = pipeline_on(address), records(100)
    matrix = encode(rows, registered.card.encoding)
    target = Target("flights", 1, registered.card)
    breaker = CircuitBreaker(workshop.registry.database, address, "flights", pipeline.inference.circuit_breaker)
    with ModelClient(address, pipeline.inference) as client:
        predict(rows, matrix, client, breaker, target, pipeline)
        first.stop()
        second = ModelServer(workshop.registry, address)
        starting = threading.Timer(0.05, second.start)
        starting.start()
        scored = predict(rows, matrix, client, breaker, target, pipeline)
        starting.join()
        second.stop()
    assert scored.failures == []
