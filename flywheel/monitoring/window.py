"""Picks the batches of a drift window and sums their profiles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from flywheel.drift.profile import PROFILE_SCHEMA, merge
from flywheel.lake.tables import LakeTable
from flywheel.manifest.drift import DriftConfig

DEFAULT_WINDOW_ROWS = 10_000
_DAYS_AT_ONCE = 32
_READ = ["batch_id", "baseline_id", "predicted_at", "last_event", "rows", *PROFILE_SCHEMA]


@dataclass(frozen=True)
class Window:
    """The batches ``first_batch`` to ``last_batch`` (0 when there is none), their rows and their merged profile.

    ``batches`` has their numbers: some in between may not be of the window.
    """

    first_batch: int
    last_batch: int
    rows: int
    counts: pl.DataFrame
    batches: tuple[int, ...] = ()


def latest_window(profiles: LakeTable, baseline_id: str, config: DriftConfig, as_of: datetime) -> Window:
    """Return the newest window of a pipeline that was known at ``as_of``.

    A window by rows takes the newest whole batches until it has ``window_size`` rows; a window by time those whose
    newest event is younger than ``window``. Only batches profiled on ``baseline_id`` count, and none before the last
    batch on another one only: a window starts anew with its baseline, also when an old model comes back.
    """
    if config.window is not None:
        start = as_of - config.window
        # Without an upper limit: a record can be known before its event.
        rows = profiles.read(profiles.files(dates=(start.date(), date.max)), _READ)
        return _window(rows, _since_its_return(rows, baseline_id, as_of).filter(pl.col("last_event") > start))
    return _newest_rows(profiles, baseline_id, as_of, config.window_size or DEFAULT_WINDOW_ROWS)


def _newest_rows(profiles: LakeTable, baseline_id: str, as_of: datetime, size: int) -> Window:
    """Read backwards, a month of partitions at a time, until the batches have ``size`` rows."""
    dates = profiles.dates()
    read = pl.DataFrame(schema={name: profiles.schema[name] for name in _READ})
    batches = _since_its_return(read, baseline_id, as_of)
    while dates and batches["rows"].sum() < size:
        chunk, dates = dates[-_DAYS_AT_ONCE:], dates[:-_DAYS_AT_ONCE]
        read = pl.concat([read, profiles.read(profiles.files(dates=(chunk[0], chunk[-1])), _READ)])
        batches = _since_its_return(read, baseline_id, as_of)
    return _window(read, batches.filter(pl.col("rows").cum_sum() - pl.col("rows") < size))


def _since_its_return(rows: pl.DataFrame, baseline_id: str, as_of: datetime) -> pl.DataFrame:
    """One line a batch that counts, newest first."""
    # A batch's lines lie together, so that few are left to be told apart.
    key = ["batch_id", "baseline_id"]
    starts = rows.filter(pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in key))
    known = starts.unique(key).filter(pl.col("predicted_at") <= as_of)
    is_own = pl.col("baseline_id") == baseline_id
    own = known.filter(is_own)
    # A batch that was profiled again, on this baseline, is its own too.
    before = known.filter(~is_own).join(own, on="batch_id", how="anti")["batch_id"].max()
    return own.filter(pl.col("batch_id") > (before if before is not None else -1)).sort("batch_id", descending=True)


def _window(rows: pl.DataFrame, batches: pl.DataFrame) -> Window:
    if batches.is_empty():
        return Window(0, 0, 0, merge([]))
    numbers = tuple(batches["batch_id"].sort())
    own = (pl.col("baseline_id") == batches["baseline_id"][0]) & pl.col("batch_id").is_in(numbers)
    counts = merge([rows.lazy().filter(own).select(PROFILE_SCHEMA.names()).collect()])
    return Window(numbers[0], numbers[-1], int(batches["rows"].sum()), counts, numbers)


def span(window: Window) -> str:
    """Describe a window in words.

    >>> span(Window(3, 7, 52000, merge([])))
    '52,000 rows of batches 3 to 7'
    """
    if window.rows == 0:
        return "no rows"
    return f"{window.rows:,} rows of batches {window.first_batch} to {window.last_batch}"
