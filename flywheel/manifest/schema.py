"""The columns of a prediction row, as a pipeline's manifest fixes them."""

from __future__ import annotations

import polars as pl

from flywheel.manifest.features import Bucketize, Feature
from flywheel.manifest.feedback import FeedbackConfig
from flywheel.manifest.pipeline import Pipeline

TIME = pl.Datetime("us", "UTC")
COLUMN_TYPES: dict[str, pl.DataType] = {
    "float": pl.Float64(),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
    "category": pl.String(),
}


def payload_schema(feedback: FeedbackConfig) -> pl.Schema:
    """The columns that the label rules' conditions see."""
    types = {**COLUMN_TYPES, "string": pl.String()}
    return pl.Schema({name: types[field.type] for name, field in feedback.payload.items()})


def record_schema(pipeline: Pipeline) -> pl.Schema:
    """The feature columns, after their transforms; a one_hot feature is logged as its category."""
    return pl.Schema({feature.name: _logged_type(feature) for feature in pipeline.features})


def prediction_struct(pipeline: Pipeline) -> pl.Struct | None:
    """The type of the output field, or None when neither ``training`` nor ``outputs`` says what it is."""
    if pipeline.training is not None:
        return {
            "classification": pl.Struct({"label": pl.String, "score": pl.Float64}),
            "anomaly": pl.Struct({"is_anomaly": pl.Boolean, "score": pl.Float64}),
            "regression": pl.Struct({"value": pl.Float64}),
        }[pipeline.training.task]
    if pipeline.inference.outputs:
        return pl.Struct(dict.fromkeys(pipeline.inference.outputs, pl.Float64))
    return None


def output_schema(pipeline: Pipeline) -> pl.Schema:
    """Every column of a prediction row; the output field is left out while its type is unknown."""
    columns: dict[str, pl.DataType] = {
        "prediction_id": pl.String(),
        "event_time": TIME,
        "predicted_at": TIME,
        "model_id": pl.String(),
        "model_version": pl.Int64(),
        "variant": pl.String(),
        "batch_id": pl.Int64(),
        "status": pl.String(),
        "sample_key": pl.Int64(),
    }
    if pipeline.inference.entity_key is not None:
        columns["entity"] = pl.String()
    prediction = prediction_struct(pipeline)
    if prediction is not None:
        return pl.Schema({**columns, **record_schema(pipeline), pipeline.inference.output_field: prediction})
    return pl.Schema({**columns, **record_schema(pipeline)})


def _logged_type(feature: Feature) -> pl.DataType:
    transform = feature.transform.chosen if feature.transform else None
    if isinstance(transform, Bucketize):
        return pl.Int64()
    if transform is None or feature.type == "category":
        return COLUMN_TYPES[feature.type]
    return pl.Float64()
