"""Absence as evidence: what it means that no event came for a prediction within ``max_delay``.

A prediction is considered once, in the first batch by which both its delay is over and it is in the log. Which those
are is pinned in the batch's plan, by a time and a batch number: a second run of it considers the same ones, and a
backfill or a clock that was set back leaves none out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from flywheel.lake.duck import connect, query
from flywheel.lake.span import before, time_span
from flywheel.lake.tables import LABELS, PipelineTables
from flywheel.manifest.feedback import ABSENT, FeedbackConfig, LabelRule
from flywheel.metadata.ledger import Considered, JoinPlan

# What one batch catches up with, when the rule is new or joins have not run.
_AT_ONCE = timedelta(days=7)
# More batches than these are not named one by one when files are picked.
_MOST_NAMED = 500
_COLUMNS = ["prediction_id", "event_time", "batch_id", "sample_key"]


@dataclass(frozen=True)
class Rule:
    """What absence says, and when."""

    label: LabelRule
    max_delay: timedelta


def absence_rule(feedback: FeedbackConfig) -> Rule | None:
    """Return what the manifest says of absence, if anything."""
    found = next((rule for rule in feedback.labels if rule.absent), None)
    return Rule(found, feedback.max_delay) if found else None


def next_considered(
    rule: Rule, done: Considered | None, tables: PipelineTables, logged: int, as_of: datetime
) -> Considered | None:
    """Return how far the next batch considers predictions; None when all that are due have been."""
    if logged == 0 or (done is not None and done.last_batch == logged and done.until >= as_of):
        return None
    if done is not None:
        start = done.until
    elif dates := tables.predictions.dates():
        start = datetime.combine(dates[0], datetime.min.time(), as_of.tzinfo) + rule.max_delay
    else:
        return None
    # Time never goes back: what was due once stays due.
    until = max(start, min(as_of, start + _AT_ONCE))
    return Considered(until=until, last_batch=logged)


def absence_labels(
    tables: PipelineTables, rule: Rule, plan: JoinPlan, number: int, as_of: datetime, found: pl.DataFrame
) -> pl.DataFrame:
    """Return a label row for every prediction that a batch considers and that no event has labelled.

    Parameters
    ----------
    found
        The label rows that events give in the same batch.
    """
    if plan.considered is None or plan.considered == plan.considered_before:
        return found.clear()
    due = _due(tables, rule.max_delay, plan.considered_before, plan.considered)
    span = time_span(due)
    if span is None:
        return found.clear()
    known = tables.labels.read(
        tables.labels.files(dates=(span[0].date(), span[1].date())), ["prediction_id", "batch_id"]
    ).filter(pl.col("batch_id") < number)
    return (
        due.unique("prediction_id", keep="first", maintain_order=True)
        .join(known, on="prediction_id", how="anti")
        .join(found, on="prediction_id", how="anti")
        .select(
            "prediction_id",
            label=pl.lit(rule.label.label_text),
            confidence=pl.lit(rule.label.confidence),
            event=pl.lit(ABSENT),
            event_time=pl.col("event_time") + rule.max_delay,
            received_at=pl.lit(as_of),
            batch_id=pl.lit(number, pl.Int64),
            sample_key="sample_key",
            date=pl.col("event_time").dt.date(),
        )
        .select(LABELS.names())
        .cast(dict(LABELS))  # type: ignore[arg-type]
    )


def _due(tables: PipelineTables, max_delay: timedelta, done: Considered | None, now: Considered) -> pl.DataFrame:
    newest = before(now.until, max_delay)
    parameters = {
        "happened_by": newest,
        "last_batch": now.last_batch,
        "done_happened_by": before(done.until, max_delay) if done else None,
        "done_last_batch": done.last_batch if done else 0,
    }
    with connect() as connection:
        files = _files(tables, newest.date(), max_delay, done, now)
        tables.predictions.attach(connection, "predictions", files, _COLUMNS)
        return query(connection, "find_due_predictions", parameters)


def _files(
    tables: PipelineTables, newest: date, max_delay: timedelta, done: Considered | None, now: Considered
) -> Collection[str]:
    """Files that may hold what has become due, or what was due already when it was logged."""
    predictions = tables.predictions
    if done is None or now.last_batch - done.last_batch > _MOST_NAMED:
        return predictions.files(dates=(date.min, newest))
    became_due = predictions.files(dates=(before(done.until, max_delay).date(), newest))
    logged = range(done.last_batch + 1, now.last_batch + 1)
    came_late = predictions.files(dates=(date.min, newest), batches=logged) if logged else []
    return dict.fromkeys([*became_due, *came_late])
