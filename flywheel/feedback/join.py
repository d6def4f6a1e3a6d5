"""Joins pending feedback events to the predictions they are about.

An event is pending from its arrival until ``max_delay`` has passed; for as long it is looked up again at every join, in
what has been logged since, as its prediction may be logged later than it. Only the files that pending events can touch
are read. A label row is appended once per distinct event, however often the event was delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.feedback.classify import IDENTITY, Judge
from flywheel.feedback.counts import JoinCounts, count_outcomes
from flywheel.feedback.lookup import Asked, Lookup
from flywheel.feedback.waiting import Waiting
from flywheel.lake.contents import file_contents
from flywheel.lake.span import before
from flywheel.lake.tables import LABELS, LakeTable, PipelineTables
from flywheel.lake.trouble import reaching
from flywheel.manifest.feedback import ABSENT
from flywheel.records.sample_key import sample_keys


@dataclass(frozen=True)
class JoinBatch:
    """One join: its number, its logical time, and what of the log it sees (so that a second run of it sees the same).

    ``events`` are the rows of the feedback table that this batch adds; ``last_logged`` is the newest batch of
    predictions it may see; ``previous_as_of`` is the time of the join before it, and ``waiting`` what that one left
    waiting (None: to be found out).
    """

    number: int
    events: pl.DataFrame
    as_of: datetime
    previous_as_of: datetime | None
    last_logged: int
    max_delay: timedelta
    waiting: Waiting | None = None


@dataclass(frozen=True)
class Joined:
    """New label rows (the labels table's columns), what became of the events, and those that wait on."""

    labels: pl.DataFrame
    counts: JoinCounts
    waiting: Waiting


def join_feedback(tables: PipelineTables, batch: JoinBatch) -> Joined:
    """Return the label rows that a batch of events, and those still waiting, give now."""
    asked = _pending(tables, batch)
    pending = pl.concat([asked.waiting, asked.new])
    judge = Judge(batch.number, batch.max_delay, batch.as_of - batch.max_delay)
    lookup = Lookup.open(tables.predictions, batch.last_logged, asked, batch.max_delay)
    events = lookup.times(judge.distinct(pending))
    stated = _label_rows_of(tables.labels, events)
    outcomes = judge.outcomes(events, stated.filter(pl.col("batch_id") < batch.number))
    labels = _label_rows(outcomes, batch.number)
    conflicts = _count_conflicts(outcomes, stated)
    counts = count_outcomes(outcomes, batch.as_of, batch.previous_as_of, batch.max_delay, conflicts)
    return Joined(labels, counts, Waiting(_unfound(pending, outcomes), batch.last_logged, batch.max_delay))


def _pending(tables: PipelineTables, batch: JoinBatch) -> Asked:
    """The events of the batch, and earlier ones received within the last two ``max_delay``.

    The older half of those is there to be given up on once, and to be found all the same.
    """
    since = before(batch.as_of, 2 * batch.max_delay)
    if batch.waiting is not None and batch.waiting.max_delay == batch.max_delay:
        waiting = batch.waiting.events.filter(pl.col("received_at") > since)
        return Asked(_keyed(batch.events), _keyed(waiting), batch.waiting.last_logged)
    dates = (since.date(), batch.as_of.date())
    rows = tables.feedback.read(tables.feedback.files(dates=dates))
    earlier = rows.filter(pl.col("received_at") > since, pl.col("batch_id") < batch.number)
    return Asked(_keyed(pl.concat([earlier, batch.events])), _keyed(earlier.clear()), 0)


def _keyed(events: pl.DataFrame) -> pl.DataFrame:
    """Give the events their keys; those ingested by an earlier Flywheel have none."""
    if events["sample_key"].null_count() == 0:
        return events
    return events.with_columns(sample_keys(events["prediction_id"]))


def _label_rows_of(labels: LakeTable, events: pl.DataFrame) -> pl.DataFrame:
    """Read the label rows that the predictions found have already; a prediction's labels have its date."""
    dates = events["predicted"].dt.date().unique().drop_nulls()
    files = file_contents(labels).filter(pl.col("date").is_in(dates.implode()))
    rows = labels.scan(files["uri"], [*IDENTITY, "batch_id", "sample_key"])
    if not files.is_empty():
        found = events.filter(pl.col("predicted").is_not_null())
        # By its key, of which label rows of an earlier Flywheel have none, a row is known before its id is read.
        may_be_theirs = pl.col("sample_key").is_in(found["sample_key"].implode()) | pl.col("sample_key").is_null()
        rows = rows.filter(may_be_theirs).join(found.lazy(), on="prediction_id", how="semi")
    with reaching(labels.location):
        return rows.collect(engine="streaming")


def _unfound(pending: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the events that have no prediction, each copy of them."""
    unfound = outcomes.filter(pl.col("outcome").is_in(["waiting", "orphan"]))
    near = pending.filter(pl.col("sample_key").is_in(unfound["sample_key"].implode()))
    return near.join(unfound, on=IDENTITY, how="semi", maintain_order="left")


def _label_rows(outcomes: pl.DataFrame, number: int) -> pl.DataFrame:
    new = outcomes.filter(pl.col("outcome") == "labelled").with_columns(batch_id=pl.lit(number, pl.Int64))
    return new.select(LABELS.names()).cast(dict(LABELS))  # type: ignore[arg-type]


def _count_conflicts(outcomes: pl.DataFrame, stated: pl.DataFrame) -> int:
    """Count the predictions with a new label that now have labels which differ; absence is told to be overruled.

    A prediction that has neither another event nor a label so far is not looked at again.
    """
    names = ["prediction_id", "label"]
    earlier = stated.filter(pl.col("event") != ABSENT).select(*names, is_new=False)
    new = outcomes.filter(pl.col("outcome") == "labelled").select(*names, "is_only", is_new=True)
    disputed = [new.filter(~pl.col("is_only"))]
    if not earlier.is_empty():
        disputed.append(new.filter("is_only").join(earlier, on="prediction_id", how="semi"))
    both = pl.concat([*(rows.drop("is_only") for rows in disputed), earlier]).group_by("prediction_id")
    return both.agg(pl.col("label").n_unique(), pl.col("is_new").any()).filter("is_new", pl.col("label") > 1).height
