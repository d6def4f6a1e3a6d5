"""What is known of predictions at a time: how far their feedback has been joined, and the rows of a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.context import PipelineContext
from flywheel.feedback.batch import MAX_EVENTS, feedback_config
from flywheel.feedback.winning import winning_labels
from flywheel.inference.fallback import OK
from flywheel.lake.tables import UTC_TIME
from flywheel.lake.trouble import reaching
from flywheel.manifest.feedback import ABSENT

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
    files = tables.predictions.files(dates=dates)
    with reaching(tables.predictions.location):
        answered = tables.predictions.scan(files, columns).filter(
            pl.col("status") == OK,
            pl.col("model_id") == context.pipeline.inference.model_id,
            pl.col("event_time").is_between(*span, closed="left"),
            pl.col("predicted_at") <= as_of,
        )
        rows = answered.rename({output: "output"}).collect(engine="streaming")
        labels = winning_labels(tables.labels.scan(tables.labels.files(dates=dates)), joined.until)
    labelled = rows.join(labels.drop("event_time"), on="prediction_id", how="left")
    is_joined = pl.col("batch_id") <= joined.last_batch
    measured = _once(labelled).with_columns(is_joined=is_joined).drop("model_id", "status", "predicted_at", "batch_id")
    return _timed(measured, joined, feedback_config(context).max_delay)


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """An id that was logged twice counts once."""
    if rows["prediction_id"].n_unique() < rows.height:
        rows = rows.sort("event_time").unique("prediction_id", keep="first", maintain_order=True)
    # In an order of their own, so that the same rows give the same figures in every run.
    return rows.sort("sample_key").drop("prediction_id")


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
