"""Picks the batches of a drift window and sums their profiles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from flywheel.drift.profile import PROFILE_SCHEMA, merge, starts_of
from flywheel.lake.tables import LakeTable
from flywheel.lake.trouble import reaching
from flywheel.manifest.drift import DriftConfig

DEFAULT_WINDOW_ROWS = 10_000
_DAYS_AT_ONCE = 32
_PARTITION = re.compile(r"/date=(\d{4}-\d\d-\d\d)/")
_KEY = ["batch_id", "baseline_id"]
_BATCH = [*_KEY, "predicted_at", "last_event", "rows"]
_READ = [*_BATCH, *PROFILE_SCHEMA]


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
        files = _files(profiles)
        lines = _read(profiles, [uri for day, uris in files.items() if day >= start.date() for uri in uris])
        known = _known_batches(lines)
        return _window(lines, known, _since_its_return(known, baseline_id, as_of).filter(pl.col("last_event") > start))
    return _newest_rows(profiles, baseline_id, as_of, config.window_size or DEFAULT_WINDOW_ROWS)


def _newest_rows(profiles: LakeTable, baseline_id: str, as_of: datetime, size: int) -> Window:
    """Read backwards, a month of partitions at a time, until the batches have ``size`` rows."""
    files = _files(profiles)
    dates = sorted(files)
    lines = _read(profiles, [])
    known = _known_batches(lines)
    batches = _since_its_return(known, baseline_id, as_of)
    while dates and batches["rows"].sum() < size:
        chunk, dates = dates[-_DAYS_AT_ONCE:], dates[:-_DAYS_AT_ONCE]
        lines = pl.concat([lines, _read(profiles, [uri for day in chunk for uri in files[day]])])
        known = _known_batches(lines)
        batches = _since_its_return(known, baseline_id, as_of)
    return _window(lines, known, batches.filter(pl.col("rows").cum_sum() - pl.col("rows") < size))


def _files(profiles: LakeTable) -> Mapping[date, Sequence[str]]:
    """The table's files by the date of their folder, as its readers take it; to ask the log takes twice as long."""
    found: dict[date, list[str]] = {}
    for uri in profiles.files():
        partition = _PARTITION.search(uri)
        if partition is not None:
            found.setdefault(date.fromisoformat(partition[1]), []).append(uri)
    return found


def _read(profiles: LakeTable, uris: Sequence[str]) -> pl.DataFrame:
    if not uris or not profiles.location.is_local:
        return profiles.read(uris, _READ)
    # Every batch leaves a file of some kilobytes, which takes longer to be mapped than to be read.
    with reaching(profiles.location):
        contents = [Path(uri).read_bytes() for uri in uris]
        schema = {name: dtype for name, dtype in profiles.schema.items() if name != "date"}
        lines = pl.scan_parquet(contents, schema=schema, missing_columns="insert", extra_columns="ignore")
        return lines.select(_READ).collect()


def _known_batches(lines: pl.DataFrame) -> pl.DataFrame:
    """The first of each batch's lines that lie together, with how many there are (``lines``)."""
    starts = starts_of(lines, _KEY)
    return lines.select(_BATCH)[starts].with_columns(lines=pl.Series(np.diff(starts, append=lines.height)))


def _since_its_return(known: pl.DataFrame, baseline_id: str, as_of: datetime) -> pl.DataFrame:
    """One line a batch that counts, newest first."""
    known = known.unique(_KEY).filter(pl.col("predicted_at") <= as_of)
    is_own = pl.col("baseline_id") == baseline_id
    own = known.filter(is_own)
    # A batch that was profiled again, on this baseline, is its own too.
    before = known.filter(~is_own).join(own, on="batch_id", how="anti")["batch_id"].max()
    return own.filter(pl.col("batch_id") > (before if before is not None else -1)).sort("batch_id", descending=True)


def _window(lines: pl.DataFrame, known: pl.DataFrame, batches: pl.DataFrame) -> Window:
    if batches.is_empty():
        return Window(0, 0, 0, merge([]))
    numbers = tuple(batches["batch_id"].sort())
    own = (pl.col("baseline_id") == batches["baseline_id"][0]) & pl.col("batch_id").is_in(numbers)
    is_own = known.select(own).to_series().to_numpy()
    if not is_own.all():
        lines = lines.filter(pl.Series(np.repeat(is_own, known["lines"].to_numpy())))
    return Window(numbers[0], numbers[-1], int(batches["rows"].sum()), merge([lines]), numbers)


def span(window: Window) -> str:
    """Describe a window in words.

    >>> span(Window(3, 7, 52000, merge([])))
    '52,000 rows of batches 3 to 7'
    """
    if window.rows == 0:
        return "no rows"
    return f"{window.rows:,} rows of batches {window.first_batch} to {window.last_batch}"
