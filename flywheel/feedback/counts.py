"""Counts what became of feedback events, so that nothing disappears unseen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.lake.span import before


@dataclass(frozen=True)
class JoinCounts:
    """What one join came to.

    ``labelled`` events gave a label row, ``duplicates`` are further deliveries of an event, ``late`` ones came more
    than ``max_delay`` after their prediction, ``unlabelled`` ones match no label rule. ``recovered`` are earlier events
    whose prediction was logged only now. ``waiting`` is how many have no prediction so far, ``orphans`` how many of
    them this join gave up on, ``conflicts`` how many predictions now have labels that differ. ``absent`` predictions
    got the label that means that no event came.
    """

    labelled: int = 0
    duplicates: int = 0
    late: int = 0
    unlabelled: int = 0
    recovered: int = 0
    waiting: int = 0
    orphans: int = 0
    conflicts: int = 0
    absent: int = 0


def count_outcomes(
    outcomes: pl.DataFrame, as_of: datetime, previous_as_of: datetime | None, max_delay: timedelta, conflicts: int
) -> JoinCounts:
    """Count what `classify.outcomes` says of events; what an earlier join has counted is not counted again."""
    outcome, new, old = pl.col("outcome"), pl.col("new_copies"), pl.col("old_copies")
    seen_first_now = (new > 0) & (old == 0)
    # A join before this one has given up on what had waited for max_delay by its time.
    given_up_before = before(previous_as_of or as_of, max_delay)
    given_up_already = (pl.col("received_at") < given_up_before) & (old > 0)
    first_delivery = (seen_first_now & (outcome != "known")).cast(pl.Int64)
    counted = outcomes.select(
        labelled=((outcome == "labelled") & (old == 0)).sum(),
        duplicates=(new - first_delivery).filter(~outcome.is_in(["late", "unlabelled"])).sum(),
        late=new.filter(outcome == "late").sum(),
        unlabelled=new.filter(outcome == "unlabelled").sum(),
        recovered=((outcome == "labelled") & (old > 0)).sum(),
        waiting=(outcome == "waiting").sum(),
        orphans=((outcome == "orphan") & ~given_up_already).sum(),
    )
    return JoinCounts(
        **{name: int(value or 0) for name, value in counted.row(0, named=True).items()}, conflicts=conflicts
    )
