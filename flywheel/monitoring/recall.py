"""A drift check again, with the window that it looked at, from what the tables still hold of it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flywheel.context import PipelineContext
from flywheel.drift.baseline import Baseline
from flywheel.drift.profile import merge
from flywheel.metadata.queries.drift_checks import Check
from flywheel.monitoring.reference import read_baseline


@dataclass(frozen=True)
class Recalled:
    """A check's baseline and its window's profile.

    ``rows`` is how many rows of the window the profiles still hold: fewer than the check saw once some have expired.
    """

    check: Check
    baseline: Baseline
    counts: pl.DataFrame
    rows: int

    @property
    def is_whole(self) -> bool:
        return self.rows == self.check.rows


def recall_check(context: PipelineContext, check: Check) -> Recalled:
    """Sum the profiles of a check's window once more.

    Raises
    ------
    FlywheelError
        The baseline of that check is gone.
    """
    baseline = read_baseline(context, check.baseline_id)
    profiles, first, last = context.tables.profiles, check.first_batch, check.last_batch
    rows = profiles.read(profiles.files(batches=range(first, last + 1))).filter(
        pl.col("batch_id").is_between(first, last), pl.col("baseline_id") == check.baseline_id
    )
    batches = rows.group_by("batch_id").agg(pl.col("rows").first())
    return Recalled(check, baseline, merge([rows]), int(batches["rows"].sum()))
