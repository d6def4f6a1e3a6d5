"""Joins pending feedback events to the predictions they are about.

An event is pending from its arrival until ``max_delay`` has passed; for as long it is looked up again at every join,
since its prediction may be logged later than it. Only the partitions that pending events can touch are read. A label
row is appended once per distinct event, however often the event was delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from flywheel.feedback.counts import JoinCounts, count_outcomes
from flywheel.lake.duck import connect, query
from flywheel.lake.span import before, day_after, time_span
from flywheel.lake.tables import LABELS, PipelineTables
from flywheel.manifest.feedback import ABSENT


@dataclass(frozen=True)
class JoinBatch:
    """One join: its number, its logical time, and what of the log it sees (so that a second run of it sees the same).

    ``events`` are the rows of the feedback table that this batch adds; ``last_logged`` is the newest batch of
    predictions it may see; ``previous_as_of`` is the time of the join before it.
    """

    number: int
    events: pl.DataFrame
    as_of: datetime
    previous_as_of: datetime | None
    last_logged: int
    max_delay: timedelta


@dataclass(frozen=True)
class Joined:
    """New label rows (the labels table's columns) and what became of the events."""

    labels: pl.DataFrame
    counts: JoinCounts


def join_feedback(tables: PipelineTables, batch: JoinBatch) -> Joined:
    """Return the label rows that a batch of events, and those still waiting, give now."""
    pending = pl.concat([_still_waiting(tables, batch), batch.events])
    times = time_span(pending)
    if times is None:
        return Joined(pl.DataFrame(schema=LABELS), JoinCounts())
    # Twice the delay back, so that a late event is known as late, not taken for an orphan.
    dates = (before(times[0], 2 * batch.max_delay).date(), day_after(times[1]))
    known = tables.labels.files(dates=dates)
    outcomes = _classify(tables, batch, pending, dates, known)
    labels = _label_rows(outcomes, batch.number)
    conflicts = _count_conflicts(labels, tables.labels.read(known, ["prediction_id", "label", "event"]))
    return Joined(labels, count_outcomes(outcomes, batch.as_of, batch.previous_as_of, batch.max_delay, conflicts))


def _still_waiting(tables: PipelineTables, batch: JoinBatch) -> pl.DataFrame:
    """Earlier events received within the last two ``max_delay``: the older half is there to be given up on once."""
    since = before(batch.as_of, 2 * batch.max_delay)
    rows = tables.feedback.read(tables.feedback.files(dates=(since.date(), batch.as_of.date())))
    return rows.filter(pl.col("received_at") > since, pl.col("batch_id") < batch.number)


def _classify(
    tables: PipelineTables, batch: JoinBatch, pending: pl.DataFrame, dates: tuple[date, date], known: list[str]
) -> pl.DataFrame:
    parameters = {
        "batch": batch.number,
        "last_logged": batch.last_logged,
        "max_delay": batch.max_delay,
        "given_up_before": batch.as_of - batch.max_delay,
    }
    with connect() as connection:
        connection.register("events", pending.to_arrow())
        logged = tables.predictions.files(dates=dates)
        tables.predictions.attach(connection, "predictions", logged, ["prediction_id", "event_time", "batch_id"])
        tables.labels.attach(connection, "known", known)
        return query(connection, "classify_feedback", parameters)


def _label_rows(outcomes: pl.DataFrame, number: int) -> pl.DataFrame:
    new = outcomes.filter(pl.col("outcome") == "labelled").with_columns(batch_id=pl.lit(number, pl.Int64))
    return new.select(LABELS.names()).cast(dict(LABELS))  # type: ignore[arg-type]


def _count_conflicts(new: pl.DataFrame, known: pl.DataFrame) -> int:
    """Count the predictions with a new label that now have labels which differ; absence is told to be overruled."""
    relevant = known.filter(pl.col("event") != ABSENT).join(new, on="prediction_id", how="semi")
    both = pl.concat([new.select("prediction_id", "label"), relevant.drop("event")])
    return both.group_by("prediction_id").agg(pl.col("label").n_unique()).filter(pl.col("label") > 1).height
