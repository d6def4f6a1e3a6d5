"""The training rows of a pipeline: predictions with their winning label, sampled, each with its weight."""

from __future__ import annotations

from datetime import datetime

import duckdb
import polars as pl

from flywheel.errors import FlywheelError
from flywheel.export.rates import key_limit, positive_label, rates_of
from flywheel.lake import sql
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


def select_training_rows(connection: duckdb.DuckDBPyConnection, pipeline: Pipeline, as_of: datetime) -> pl.DataFrame:
    """Return the rows that an export at ``as_of`` has, in the order of event time and id.

    A prediction is labelled by its most confident label, then the earliest event, then the label's text. Predictions
    answered by a fallback are kept: their features are as good as any. An id that was logged more than once counts
    once, with its earliest row. Which rows are kept depends on their ``sample_key`` only.

    Parameters
    ----------
    connection
        Has the relations ``predictions`` and ``labels``, with the columns of the lake's tables; gets the temporary
        relations ``candidates`` and ``winning_labels``.
    as_of
        Labels received later and predictions made later are not seen.

    Returns
    -------
    polars.DataFrame
        Columns of `training_schema`. ``weight`` is the inverse of the probability that the row was kept, so that
        weighted counts estimate those of all labelled rows without bias (Horvitz and Thompson, 1952).
    """
    config = export_config(pipeline)
    _create_candidates(connection, pipeline, config)
    connection.execute(sql.load("resolve_labels"), {"as_of": as_of, "min_confidence": config.min_confidence})
    rows = _sample(connection, pipeline, config, as_of)
    return _one_row_an_id(_in_schema(rows, training_schema(pipeline)))


def _create_candidates(connection: duckdb.DuckDBPyConnection, pipeline: Pipeline, config: ExportConfig) -> None:
    """Name the columns that are read, and the score, so that the statements need no name from the manifest."""
    predictions = connection.table("predictions")
    known = set(predictions.columns)
    columns = [_quote(name) for name in logged_columns(pipeline) if name in known]
    score = "NULL::DOUBLE"
    if config.sampling.strategy == "hard_negative":
        score = _score_column(pipeline)
    predictions.project(", ".join([*columns, f'{score} AS "sampling score"'])).create_view("candidates", replace=True)


def _score_column(pipeline: Pipeline) -> str:
    output = pipeline.inference.output_field
    struct = output_schema(pipeline).get(output)
    if not isinstance(struct, pl.Struct) or "score" not in {field.name for field in struct.fields}:
        raise FlywheelError(
            f"pipeline {pipeline.name!r}: sampling 'hard_negative' needs {output}.score; its predictions have none",
            state="nothing was exported",
            next_step="choose another sampling strategy for training_export",
        )
    return f'{_quote(output)}."score"'


def _sample(
    connection: duckdb.DuckDBPyConnection, pipeline: Pipeline, config: ExportConfig, as_of: datetime
) -> pl.DataFrame:
    sampling = config.sampling
    if sampling.strategy == "reservoir":
        return _query(connection, "sample_reservoir", {"as_of": as_of, "size": sampling.size})
    rates = rates_of(sampling)
    parameters: dict[str, object] = {
        "as_of": as_of,
        "positive_label": positive_label(pipeline, sampling),
        "positive_rate": rates.positive,
        "negative_rate": rates.negative,
        "positive_limit": key_limit(rates.positive),
        "negative_limit": key_limit(rates.negative),
        "hard_threshold": rates.hard_threshold,
    }
    return _query(connection, "sample_labelled_rows", parameters)


def _query(connection: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, object]) -> pl.DataFrame:
    rows: pl.DataFrame = connection.sql(sql.load(name), params=parameters).pl()
    return rows


def _in_schema(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Give the rows the manifest's columns; a feature that no batch has logged yet is null."""
    columns = [
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    return rows.select(columns)


def _one_row_an_id(rows: pl.DataFrame) -> pl.DataFrame:
    if rows["prediction_id"].n_unique() == rows.height:
        return rows
    return rows.unique(subset="prediction_id", keep="first", maintain_order=True)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
