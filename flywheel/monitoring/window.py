"""Picks the batches of a drift window and sums their profiles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from flywheel.drift.profile import merge
from flywheel.lake.tables import LakeTable
from flywheel.manifest.drift import DriftConfig

DEFAULT_WINDOW_ROWS = 10_000
_DAYS_AT_ONCE = 32


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
    batch on another one: a window starts anew with its baseline, also when an old model comes back.
    """
    known = pl.col("predicted_at") <= as_of
    if config.window is not None:
        start = as_of - config.window
        # Without an upper limit: a record can be known before its event.
        rows = profiles.read(profiles.files(dates=(start.date(), date.max))).filter(known)
        return _window(_since_its_return(rows, baseline_id).filter(pl.col("last_event") > start))
    return _newest_rows(profiles, baseline_id, known, config.window_size or DEFAULT_WINDOW_ROWS)


def _newest_rows(profiles: LakeTable, baseline_id: str, known: pl.Expr, size: int) -> Window:
    """Read backwards, a month of partitions at a time, until the batches have ``size`` rows."""
    dates = profiles.dates()
    read = found = pl.DataFrame(schema=profiles.schema)
    while dates and _batches(found)["rows"].sum() < size:
        chunk, dates = dates[-_DAYS_AT_ONCE:], dates[:-_DAYS_AT_ONCE]
        read = pl.concat([read, profiles.read(profiles.files(dates=(chunk[0], chunk[-1]))).filter(known)])
        found = _since_its_return(read, baseline_id)
    batches = _batches(found).with_columns(newer=pl.col("rows").cum_sum() - pl.col("rows"))
    wanted = batches.filter(pl.col("newer") < size)["batch_id"]
    return _window(found.filter(pl.col("batch_id").is_in(wanted.implode())))


def _since_its_return(rows: pl.DataFrame, baseline_id: str) -> pl.DataFrame:
    is_own = pl.col("baseline_id") == baseline_id
    before = rows.filter(~is_own)["batch_id"].max()
    return rows.filter(is_own, pl.col("batch_id") > (before if before is not None else -1))


def _window(rows: pl.DataFrame) -> Window:
    batches = _batches(rows)
    if batches.is_empty():
        return Window(0, 0, 0, merge([]))
    numbers = batches["batch_id"].to_list()
    return Window(min(numbers), max(numbers), int(batches["rows"].sum()), merge([rows]), tuple(sorted(numbers)))


def _batches(rows: pl.DataFrame) -> pl.DataFrame:
    """One line a batch, newest first."""
    return rows.group_by("batch_id").agg(pl.col("rows").first()).sort("batch_id", descending=True)


def span(window: Window) -> str:
    """Describe a window in words.

    >>> span(Window(3, 7, 52000, merge([])))
    '52,000 rows of batches 3 to 7'
    """
    if window.rows == 0:
        return "no rows"
    return f"{window.rows:,} rows of batches {window.first_batch} to {window.last_batch}"
