"""Keeps the newest rows for evaluation: a model is judged on what came after everything it learned from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.lake.span import before
from flywheel.manifest.training import TrainingConfig

# Fewer rows than this say nothing about which model is better.
MIN_HOLDOUT = 20


@dataclass(frozen=True)
class Split:
    """Rows to learn from, and the newer rows to evaluate on."""

    train: pl.DataFrame
    holdout: pl.DataFrame


@dataclass(frozen=True)
class NotEnoughData:
    """Why no candidate was trained; nothing changes."""

    reason: str


def split_by_time(rows: pl.DataFrame, holdout: timedelta) -> Split:
    """Split off the rows whose event time is within ``holdout`` of the newest.

    >>> from datetime import UTC
    >>> days = pl.Series([datetime(2013, 1, day, tzinfo=UTC) for day in range(1, 11)])
    >>> split = split_by_time(pl.DataFrame({"event_time": days}), timedelta(days=3))
    >>> split.train.height, split.holdout.height
    (7, 3)
    """
    newest = rows["event_time"].max()
    if not isinstance(newest, datetime):
        return Split(rows, rows)
    is_new = pl.col("event_time") > before(newest, holdout)
    return Split(rows.filter(~is_new), rows.filter(is_new))


def shortfall(split: Split, training: TrainingConfig) -> NotEnoughData | None:
    """Return what is missing for a fair comparison, or None."""
    total = split.train.height + split.holdout.height
    if total < training.min_rows:
        return NotEnoughData(f"{total} usable rows; training.min_rows is {training.min_rows}")
    if split.holdout.height < MIN_HOLDOUT:
        return NotEnoughData(
            f"{split.holdout.height} rows in the hold-out, the newest {training.holdout}; {MIN_HOLDOUT} are needed"
        )
    if split.train.is_empty():
        return NotEnoughData(f"no row is older than the hold-out, the newest {training.holdout}; shorten it")
    if training.task != "classification":
        return None
    for name, rows in (("training rows", split.train), ("hold-out", split.holdout)):
        is_target = rows["label"] == training.target
        if is_target.all() or not is_target.any():
            kind = "only" if is_target.any() else "no"
            return NotEnoughData(f"{kind} {training.target!r} among the {rows.height} {name}")
    return None
