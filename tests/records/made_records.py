"""Small pipelines, and records for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.paths import pick_values
from flywheel.records.prepare import needed_paths
from flywheel.records.records import Records, read_records

TIME = JsonPath("$.timestamp")


def make_pipeline(features: Sequence[Mapping[str, Any]], **inference: Any) -> Pipeline:
    stages = [
        {"id": "features", "type": "feature-extraction", "config": {"features": features}},
        {
            "id": "inference",
            "type": "ml-inference",
            "config": {
                "model_endpoint": "model:50051",
                "model_id": "m",
                "input_features": [features[0]["name"]],
                **inference,
            },
        },
    ]
    spec = {"source": "s", "prediction_id": "$.id", "stages": stages}
    return Pipeline.model_validate(
        {"apiVersion": "flywheel-ml.io/v1", "kind": "FlywheelPipeline", "metadata": {"name": "p"}, "spec": spec}
    )


def make_records(frame: pl.DataFrame, pipeline: Pipeline) -> Records:
    values = pick_values(frame, needed_paths(pipeline, TIME))
    return read_records(values, "day-1", 0, frame.to_struct())
