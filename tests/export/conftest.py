from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from flywheel.lake.storage import StorageMap
from flywheel.manifest.pipeline import Pipeline

START = datetime(2013, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(days=30)


def pipeline_with(export: dict[str, Any] | None = None, **training: Any) -> Pipeline:
    """Flights whose wind is 0 to 100 and whose origin is one of two airports, with this training_export."""
    spec: dict[str, Any] = {
        "source": "flights",
        "stages": [
            {
                "id": "features",
                "type": "feature-extraction",
                "config": {
                    "features": [
                        {"name": "wind", "source_field": "$.wind", "minimum": 0, "maximum": 100},
                        {"name": "gust", "source_field": "$.gust", "nullable": True},
                        {
                            "name": "origin",
                            "source_field": "$.origin",
                            "type": "category",
                            "categories": ["EWR", "JFK"],
                        },
                    ]
                },
            },
            {
                "id": "inference",
                "type": "ml-inference",
                "config": {"model_endpoint": "server:1", "model_id": "delays", "input_features": ["wind", "origin"]},
            },
        ],
        "feedback": {
            "source": "landings",
            "join_key": "$.id",
            "labels": [
                {"event": "landed_late", "label": "late"},
                {"event": "landed", "label": "on_time", "confidence": 0.7},
            ],
        },
        "training": {
            "task": "classification",
            "algorithm": "hist_gradient_boosting",
            "target": "late",
            **training,
        },
        "training_export": {"destination_uri": "exports", **(export or {})},
    }
    document = {"apiVersion": "flywheel-ml.io/v1", "kind": "FlywheelPipeline", "metadata": {"name": "flights"}}
    return Pipeline.model_validate({**document, "spec": spec})


def sample_key(prediction_id: str) -> int:
    return int.from_bytes(hashlib.sha256(prediction_id.encode()).digest()[:8], "big", signed=True)


def predictions_of(count: int) -> pl.DataFrame:
    """Rows of the prediction log, over 20 days and 2 model versions."""
    random = np.random.default_rng(count)
    ids = [f"AA-{index}" for index in range(count)]
    times = [START + timedelta(hours=int(hour)) for hour in random.integers(0, 24 * 20, count)]
    score = random.random(count)
    return pl.DataFrame(
        {
            "prediction_id": ids,
            "event_time": times,
            "predicted_at": [time + timedelta(hours=1) for time in times],
            "model_id": ["delays"] * count,
            "model_version": random.integers(1, 3, count),
            "variant": ["champion"] * count,
            "batch_id": [index // 100 for index in range(count)],
            "status": ["ok"] * count,
            "sample_key": [sample_key(name) for name in ids],
            "wind": random.random(count) * 100,
            "gust": [None if index % 3 == 0 else float(index) for index in range(count)],
            "origin": random.choice(["EWR", "JFK"], count),
            "prediction": [{"label": "late" if value > 0.5 else "on_time", "score": value} for value in score.tolist()],
        },
        schema_overrides={
            "event_time": pl.Datetime("us", "UTC"),
            "predicted_at": pl.Datetime("us", "UTC"),
            "prediction": pl.Struct({"label": pl.String, "score": pl.Float64}),
            "gust": pl.Float64,
        },
    )


def labels_of(predictions: pl.DataFrame, share_late: float = 0.25) -> pl.DataFrame:
    """One label a prediction."""
    random = np.random.default_rng(predictions.height + 1)
    late = random.random(predictions.height) < share_late
    return predictions.select(
        "prediction_id",
        pl.Series("label", np.where(late, "late", "on_time")),
        pl.Series("confidence", np.where(late, 1.0, 0.7)),
        pl.Series("event", np.where(late, "landed_late", "landed")),
        pl.col("event_time") + timedelta(hours=3),
        (pl.col("event_time") + timedelta(hours=4)).alias("received_at"),
        "batch_id",
        "sample_key",
    )


@pytest.fixture
def make_pipeline() -> Callable[..., Pipeline]:
    return pipeline_with


@pytest.fixture
def make_predictions() -> Callable[[int], pl.DataFrame]:
    return predictions_of


@pytest.fixture
def make_labels() -> Callable[..., pl.DataFrame]:
    return labels_of


@pytest.fixture
def as_of() -> datetime:
    return AS_OF


@pytest.fixture
def storage(tmp_path: Any) -> StorageMap:
    return StorageMap(base=tmp_path)
