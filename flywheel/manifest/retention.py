"""How long rows are kept, and what that must not undercut."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from flywheel.manifest.fields import Duration, Spec
from flywheel.manifest.problems import Finding

if TYPE_CHECKING:
    from flywheel.manifest.pipeline import Pipeline

# The log of a table knows what was removed for thirty days.
SHORTEST_GRACE, LONGEST_GRACE = timedelta(hours=1), timedelta(days=28)
# An event is waited for this many times max_delay: to happen, to arrive, and until it is given up.
_DELAYS = 3


def _check_grace(value: timedelta) -> timedelta:
    if not SHORTEST_GRACE <= value <= LONGEST_GRACE:
        raise ValueError("must be from 1h to 28d")
    return value


class Retention(Spec):
    """How long a table keeps its rows, by the date that they are filed under; one that is not named: for ever.

    It is counted back from the pipeline's newest batches, not from the clock, so one that stands still loses nothing.
    """

    predictions: Duration | None = Field(default=None, description="An older id is new again, if it comes")
    feedback: Duration | None = None
    labels: Duration | None = Field(default=None, description="At least as long as predictions")
    profiles: Duration | None = Field(default=None, description="The drift window in use stays in any case")
    quarantine: Duration | None = None
    rescored: Duration | None = Field(default=None, description="At least as long as predictions")
    drift_checks: Duration | None = Field(
        default=None, description="With their alerts; what a decision still depends on stays in any case"
    )
    grace: Annotated[Duration, AfterValidator(_check_grace)] = Field(
        default=timedelta(days=7),
        description="Files that nothing refers to any more stay this long, for readers of an older version: 1h to 28d",
    )


def retention_problems(pipeline: Pipeline) -> Iterator[Finding]:
    """Yield where rows would go that the loop still reads."""
    retention = pipeline.spec.retention
    if pipeline.feedback is not None:
        least = _DELAYS * pipeline.feedback.max_delay
        reason = f"feedback is waited for that long, {_DELAYS} × max_delay_hours"
        for table in ("predictions", "feedback", "labels"):
            yield from _too_short(table, getattr(retention, table), least, reason)
    unlabelled = "without its label a prediction looks as if it never had one"
    yield from _shorter_than_predictions(retention, "labels", unlabelled)
    yield from _shorter_than_predictions(retention, "rescored", "a row would be scored again")
    if pipeline.feedback is not None and pipeline.spec.performance and pipeline.spec.performance.window:
        least = pipeline.spec.performance.window + pipeline.feedback.max_delay
        yield from _too_short("predictions", retention.predictions, least, "a performance window is final only then")
    if pipeline.training is not None:
        delay = pipeline.feedback.max_delay if pipeline.feedback is not None else timedelta(0)
        reason = "a retrain holds out the newest labelled rows: training.holdout"
        yield from _too_short("predictions", retention.predictions, pipeline.training.holdout + delay, reason)
    if pipeline.drift is not None and pipeline.drift.window is not None:
        reason = "a drift check looks that far back: its window"
        yield from _too_short("profiles", retention.profiles, pipeline.drift.window, reason)
        if pipeline.drift.asks_jointly:
            reason = "a drift check takes a sample of the rows of its window"
            yield from _too_short("predictions", retention.predictions, pipeline.drift.window, reason)


def _shorter_than_predictions(retention: Retention, table: str, reason: str) -> Iterator[Finding]:
    kept, predictions = getattr(retention, table), retention.predictions
    if kept is not None and (predictions is None or kept < predictions):
        told = "for ever" if predictions is None else f"for {_days(predictions)}"
        yield Finding(("spec", "retention", table), f"is shorter than predictions are kept, {told}: {reason}")


def _too_short(table: str, kept: timedelta | None, least: timedelta, reason: str) -> Iterator[Finding]:
    if kept is not None and kept < least:
        yield Finding(("spec", "retention", table), f"must be at least {_days(least)}; {reason}")


def _days(span: timedelta) -> str:
    """Write a span as the manifest would.

    >>> _days(timedelta(days=3)), _days(timedelta(hours=30))
    ('3d', '30h')
    """
    hours = span / timedelta(hours=1)
    return f"{hours / 24:g}d" if hours % 24 == 0 else f"{hours:g}h"
