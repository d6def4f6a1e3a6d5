from __future__ import annotations

import os

# Before any test imports scikit-learn: what flywheel.training sets where it comes first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from flywheel.manifest.pipeline import Pipeline

START = datetime(2013, 1, 1, tzinfo=UTC)

LABELS: dict[str, list[dict[str, Any]]] = {
    "classification": [{"event": "a", "label": "late"}, {"event": "b", "label": "on_time"}],
    "anomaly": [{"event": "a", "label": "anomaly"}, {"event": "b", "label": "normal"}],
    "regression": [{"event": "a", "label_field": "$.minutes"}],
}


def pipeline_with(task: str, algorithm: str, **training: Any) -> Pipeline:
    features = [
        {"name": "wind", "source_field": "$.wind"},
        {"name": "gust", "source_field": "$.gust", "nullable": True},
        {"name": "origin", "source_field": "$.origin", "type": "category"},
        {"name": "carrier", "source_field": "$.carrier", "transform": {"one_hot": {"categories": ["AA", "UA"]}}},
        {"name": "snow", "source_field": "$.snow", "nullable": True},
    ]
    config = {
        "model_endpoint": "server:1",
        "model_id": "delays",
        "input_features": [feature["name"] for feature in features],
    }
    spec = {
        "source": "flights",
        "stages": [
            {"id": "features", "type": "feature-extraction", "config": {"features": features}},
            {"id": "inference", "type": "ml-inference", "config": config},
        ],
        "feedback": {"source": "landings", "join_key": "$.id", "labels": LABELS[task]},
        "training": {
            "task": task,
            "algorithm": algorithm,
            **({"target": "late"} if task == "classification" else {}),
            "holdout": "5d",
            "min_rows": 100,
            **training,
        },
    }
    document = {"apiVersion": "flywheel-ml.io/v1", "kind": "FlywheelPipeline", "metadata": {"name": "flights"}}
    return Pipeline.model_validate({**document, "spec": spec})


def rows_of(task: str, count: int = 600, seed: int = 0) -> pl.DataFrame:
    """Training rows over 20 days whose label the wind decides, with noise; ``snow`` has no value at all."""
    random = np.random.default_rng(seed)
    wind = random.normal(size=count)
    noisy = wind + 0.3 * random.normal(size=count)
    label = {
        "classification": np.where(noisy > 0.5, "late", "on_time"),
        "anomaly": np.where(np.abs(noisy) > 2.2, "anomaly", "normal"),
        "regression": np.char.mod("%.3f", 10 * noisy),
    }[task]
    return pl.DataFrame(
        {
            "prediction_id": [f"AA-{index}" for index in range(count)],
            "event_time": [START + timedelta(hours=float(hour)) for hour in np.sort(random.random(count) * 480)],
            "wind": wind,
            "gust": [None if index % 4 == 0 else value for index, value in enumerate(random.random(count).tolist())],
            "origin": random.choice(["EWR", "JFK", "LGA"], count),
            "carrier": random.choice(["AA", "UA", "DL"], count),
            "snow": pl.Series([None] * count, dtype=pl.Float64),
            "label": label,
            "confidence": random.choice([0.7, 1.0], count),
            "weight": random.choice([1.0, 4.0], count),
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )


@pytest.fixture
def make_pipeline() -> Callable[..., Pipeline]:
    return pipeline_with


@pytest.fixture
def make_rows() -> Callable[..., pl.DataFrame]:
    return rows_of
