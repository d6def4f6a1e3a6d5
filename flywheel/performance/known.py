"""What is known of predictions at a time: how far their feedback has been joined, and the rows of a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.context import PipelineContext
from flywheel.feedback.batch import MAX_EVENTS, feedback_config
from flywheel.lake.duck import connect, query
from flywheel.lake.sql import load
from flywheel.lake.tables import UTC_TIME
from flywheel.manifest.feedback import ABSENT
from flywheel.manifest.schema import output_schema

_LOGGED = [
    "prediction_id",
    "event_time",
    "predicted_at",
    "model_id",
    "model_version",
    "batch_id",
    "status",
    "sample_key",
]
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Joined:
    """How far feedback has been joined: all events received by ``until``, to predictions up to batch ``last_batch``."""

    until: datetime
    last_batch: int


def joined_by(context: PipelineContext, as_of: datetime) -> Joined | None:
    """Return how far feedback had been joined at ``as_of``; None: not at all.

    A batch that was full says nothing: more events may have been waiting behind it.
    """
    entry = context.feedback.newest_committed(as_of)
    while entry is not None and entry.counts.get("events", 0) >= MAX_EVENTS:
        entry = context.feedback.newest_committed(as_of, before=entry.number)
    return Joined(entry.as_of, entry.plan.last_logged) if entry else None


def read_rows(
    context: PipelineContext,
    joined: Joined,
    span: tuple[datetime, datetime],
    as_of: datetime,
    features: Sequence[str] = (),
) -> pl.DataFrame:
    """Return the model's own predictions on events of ``span`` (start, end), with the labels that are known.

    Only the partitions of the span are read, and only the columns that are needed.

    Returns
    -------
    polars.DataFrame
        ``event_time``, ``model_version``, ``sample_key``, ``features``, ``output`` (the prediction's struct),
        ``label``, ``confidence`` (null: no label so far), ``is_absent``; ``age`` and ``delay`` in hours, from the event
        to ``joined.until`` and to the label's arrival. A prediction that feedback was not yet joined to has the age −1.
    """
    tables = context.tables
    dates = (span[0].date(), span[1].date())
    output = context.pipeline.inference.output_field
    columns = [*_LOGGED, *features, output]
    parameters = {
        "model_id": context.pipeline.inference.model_id,
        "start": span[0],
        "end": span[1],
        "as_of": as_of,
        "last_joined": joined.last_batch,
    }
    with connect() as connection:
        tables.predictions.attach(connection, "predictions", tables.predictions.files(dates=dates), columns)
        tables.labels.attach(connection, "labels", tables.labels.files(dates=dates))
        known = set(connection.table("predictions").columns)
        wanted = [f'"{name}"' for name in [*_LOGGED, *features] if name in known]
        answer = [f'"{output}" AS "output"'] if output in known else []
        connection.table("predictions").project(", ".join([*wanted, *answer])).create_view("candidates")
        connection.execute(load("resolve_labels"), {"as_of": joined.until, "min_confidence": 0.0})
        rows = query(connection, "select_measured_predictions", parameters)
    return _timed(_whole(context, rows, features), joined, feedback_config(context).max_delay)


def _whole(context: PipelineContext, rows: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    """A column that no batch of the range has logged is null; an id that was logged twice counts once."""
    schema = output_schema(context.pipeline)
    types = {**{name: schema[name] for name in features}, "output": schema[context.pipeline.inference.output_field]}
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in types.items() if name not in rows.columns]
    if rows["prediction_id"].n_unique() < rows.height:
        rows = rows.sort("event_time").unique("prediction_id", keep="first", maintain_order=True)
    # In an order of their own, so that the same rows give the same figures in every run.
    return rows.sort("sample_key").with_columns(missing).drop("prediction_id")


def _timed(rows: pl.DataFrame, joined: Joined, max_delay: timedelta) -> pl.DataFrame:
    """Turn times into hours. What absence says is known when ``max_delay`` is over, whenever it was written down."""
    since_event = pl.col("received_at") - pl.col("event_time")
    until_joined = pl.lit(joined.until, UTC_TIME) - pl.col("event_time")
    is_absent = (pl.col("event") == ABSENT).fill_null(value=False)
    delay = pl.when(is_absent).then(max_delay / HOUR).otherwise(_hours(since_event))
    age = pl.when("is_joined").then(_hours(until_joined)).otherwise(-1.0)
    timed = rows.with_columns(is_absent=is_absent, delay=delay.clip(0), age=age)
    # A label can be known before the event that its prediction is about.
    return timed.with_columns(age=pl.max_horizontal("age", "delay")).drop("event", "received_at", "is_joined")


def _hours(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() / (HOUR / timedelta(microseconds=1))
