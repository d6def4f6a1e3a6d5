"""Which columns of a pipeline's prediction log are measured, and how."""

from __future__ import annotations

from typing import Any

import pytest

from flywheel.drift.measured import Measured, measured_features
from flywheel.manifest.pipeline import Pipeline

TRAINING: dict[str, dict[str, Any]] = {
    "classification": {"task": "classification", "algorithm": "hist_gradient_boosting", "target": "late"},
    "regression": {"task": "regression", "algorithm": "sgd", "gate": {"metric": "rmse"}},
    "anomaly": {"task": "anomaly", "algorithm": "isolation_forest"},
}


def pipeline(training: dict[str, Any] | None = None, drift: dict[str, Any] | None = None) -> Pipeline:
    stages: list[dict[str, Any]] = [
        {
            "id": "features",
            "type": "feature-extraction",
            "config": {
                "features": [
                    {"name": "speed", "source_field": "$.speed"},
                    {"name": "hour", "source_field": "$.hour", "type": "integer"},
                    {"name": "holiday", "source_field": "$.holiday", "type": "boolean"},
                    {"name": "carrier", "source_field": "$.carrier", "transform": {"one_hot": {"categories": ["UA"]}}},
                    {"name": "band", "source_field": "$.distance", "transform": {"bucketize": {"boundaries": [500]}}},
                    {"name": "unused", "source_field": "$.unused"},
                ]
            },
        },
        {
            "id": "model",
            "type": "ml-inference",
            "config": {
                "model_endpoint": "localhost:8001",
                "model_id": "delays",
                "input_features": ["speed", "hour", "holiday", "carrier", "band"],
                "output_field": "delay",
            },
        },
    ]
    if drift is not None:
        stages.append({"id": "drift", "type": "drift-detection", "config": drift})
    return Pipeline.model_validate(
        {
            "apiVersion": "flywheel-ml.io/v1",
            "kind": "FlywheelPipeline",
            "metadata": {"name": "delays"},
            "spec": {"source": "flights", "prediction_id": "$.id", "stages": stages, "training": training},
        }
    )


INPUTS = [
    Measured("speed", "numeric"),
    Measured("hour", "numeric"),
    Measured("holiday", "category"),
    Measured("carrier", "category"),
    Measured("band", "numeric"),
]


@pytest.mark.parametrize(
    ("task", "prediction"),
    [
        ("classification", [Measured("delay.label", "category"), Measured("delay.score", "numeric")]),
        ("anomaly", [Measured("delay.is_anomaly", "category"), Measured("delay.score", "numeric")]),
        ("regression", [Measured("delay.value", "numeric")]),
    ],
)
def test_the_models_inputs_and_its_answer_are_measured(task: str, prediction: list[Measured]) -> None:
    assert measured_features(pipeline(TRAINING[task])) == INPUTS + prediction


def test_an_answer_of_unknown_shape_is_left_out() -> None:
    assert measured_features(pipeline()) == INPUTS


def test_a_manifest_may_choose_the_features() -> None:
    chosen = measured_features(pipeline(TRAINING["regression"], {"features": ["unused", "hour"]}))
    assert chosen == [Measured("unused", "numeric"), Measured("hour", "numeric"), Measured("delay.value", "numeric")]
