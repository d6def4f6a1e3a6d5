"""The training rows of a pipeline: predictions with their winning label, sampled, each with its weight."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flywheel.errors import FlywheelError
from flywheel.export.classes import SCORE, Classes, sample_by_class, sample_reservoir
from flywheel.export.rates import positive_label, rates_of
from flywheel.export.stated import Stated
from flywheel.feedback.winning import stated_by
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import output_schema
from flywheel.manifest.training import ExportConfig

# What the log keeps for its own order and for sampling; nothing that a model is trained on.
_LOG_ONLY = ("predicted_at", "batch_id", "sample_key")
_LABEL_COLUMNS = pl.Schema({"label": pl.String, "confidence": pl.Float64, "event": pl.String, "weight": pl.Float64})


def export_config(pipeline: Pipeline) -> ExportConfig:
    """Return how ``pipeline`` exports: every labelled row by date, where its manifest says nothing of it."""
    return pipeline.export or ExportConfig(destination_uri="")


def training_schema(pipeline: Pipeline) -> pl.Schema:
    """Return the columns of a training row: the logged prediction, its winning label and its weight."""
    columns = [*output_schema(pipeline).items(), *_LABEL_COLUMNS.items()]
    return pl.Schema([(name, dtype) for name, dtype in columns if name not in _LOG_ONLY])


def logged_columns(pipeline: Pipeline) -> list[str]:
    """Return the columns of the prediction log that ``select_training_rows`` reads."""
    return output_schema(pipeline).names()


def select_training_rows(
    predictions: pl.LazyFrame, labels: pl.LazyFrame, pipeline: Pipeline, as_of: datetime
) -> pl.DataFrame:
    """Return the rows that an export at ``as_of`` has, in the order of event time and id.

    A prediction is labelled by its most confident label, then the earliest event, then the label's text. Predictions
    answered by a fallback are kept: their features are as good as any. An id that was logged more than once counts
    once, with its earliest row. Which rows are kept depends on their ``sample_key`` only.

    Parameters
    ----------
    predictions, labels
        Rows of the lake's tables, which the caller is ``reaching``; those of some dates give the rows of these dates.
    as_of
        Labels received later and predictions made later are not seen.

    Returns
    -------
    polars.DataFrame
        Columns of `training_schema`. ``weight`` is the inverse of the probability that the row was kept, so that
        weighted counts estimate those of all labelled rows without bias (Horvitz and Thompson, 1952).
    """
    config = export_config(pipeline)
    logged = _logged(predictions, pipeline, config).filter(pl.col("predicted_at") <= as_of)
    stated = Stated.of(labels, stated_by(as_of, config.min_confidence))
    if config.sampling.strategy == "reservoir":
        rows = sample_reservoir(logged, stated, config.sampling.size or 0)
    else:
        classes = Classes.of(rates_of(config.sampling), positive_label(pipeline, config.sampling))
        rows = sample_by_class(logged, stated, classes)
    ordered = rows.sort("event_time", "prediction_id", "predicted_at", "batch_id")
    return one_row_an_id(_in_schema(ordered, training_schema(pipeline)))


def _logged(predictions: pl.LazyFrame, pipeline: Pipeline, config: ExportConfig) -> pl.LazyFrame:
    """Return the columns that are exported, and the score where it decides what is kept."""
    known = set(predictions.collect_schema().names())
    columns = [name for name in logged_columns(pipeline) if name in known]
    score = pl.lit(None, pl.Float64)
    if config.sampling.strategy == "hard_negative":
        score = _score(pipeline)
    return predictions.select(*columns, score.alias(SCORE))


def _score(pipeline: Pipeline) -> pl.Expr:
    output = pipeline.inference.output_field
    struct = output_schema(pipeline).get(output)
    if not isinstance(struct, pl.Struct) or "score" not in {field.name for field in struct.fields}:
        raise FlywheelError(
            f"pipeline {pipeline.name!r}: sampling 'hard_negative' needs {output}.score; its predictions have none",
            state="nothing was exported",
            next_step="choose another sampling strategy for training_export",
        )
    return pl.col(output).struct.field("score")


def _in_schema(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Give the rows the manifest's columns; a feature that no batch has logged yet is null."""
    columns = [
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    return rows.select(columns)


def one_row_an_id(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the first row of each ``prediction_id``."""
    if rows["prediction_id"].n_unique() == rows.height:
        return rows
    return rows.unique(subset="prediction_id", keep="first", maintain_order=True)
