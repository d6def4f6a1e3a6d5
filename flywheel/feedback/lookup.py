"""Finds the predictions that events are about, in as few files as it can.

A file is read where an event could be about a prediction in it: the log says which event times and batches each one
has. Rows are joined by the sample key, a 64-bit hash of the id, and kept where the ids are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from flywheel.lake.contents import file_contents
from flywheel.lake.tables import LakeTable
from flywheel.lake.trouble import reaching
from flywheel.lake.windows import Windows

_COLUMNS = ["prediction_id", "event_time", "batch_id", "sample_key"]
_ROW = "row"
_FEW = 100_000


@dataclass(frozen=True)
class Asked:
    """Rows of events, each with its ``sample_key``: ``new`` have never been looked up, ``waiting`` in vain in the
    batches up to ``known_to``."""

    new: pl.DataFrame
    waiting: pl.DataFrame
    known_to: int


@dataclass(frozen=True)
class Lookup:
    """The prediction log as one join sees it.

    A prediction is found where it happened at most twice ``max_delay`` before an event, so that a late event is known
    as late and not taken for an orphan, or at the latest on the day after it.

    Attributes
    ----------
    files
        What `file_contents` says of the log's files.
    last_logged
        Newest batch of predictions that is seen.
    known_to
        The batch up to which waiting events have been looked up.
    near, far, later
        Where the predictions of new events mostly are, where they may be, and where those of waiting ones may be.
    """

    predictions: LakeTable
    files: pl.DataFrame
    last_logged: int
    known_to: int
    near: Windows
    far: Windows
    later: Windows

    @classmethod
    def open(cls, predictions: LakeTable, last_logged: int, asked: Asked, max_delay: timedelta) -> Lookup:
        """Look at the log as it is now."""
        files = file_contents(predictions).filter(pl.col("first_batch") <= last_logged)
        new, waiting = asked.new["event_time"], asked.waiting["event_time"]
        near, far = Windows.around(new, max_delay), Windows.around(new, 2 * max_delay)
        later = Windows.around(waiting, 2 * max_delay)
        return cls(predictions, files, last_logged, asked.known_to, near, far, later)

    def times(self, events: pl.DataFrame) -> pl.DataFrame:
        """Return the events with ``predicted``, when their prediction happened; null where none is found.

        Most are found near; the other files are asked for what is missing then, their keys first. An id that was logged
        twice gives its event twice.
        """
        asked, ids = events.select("sample_key").with_row_index(_ROW), events["prediction_id"]
        found = self._read(self.files.filter(self._are_near()), asked, ids)
        missing = asked.filter(~_holds(found[_ROW], asked.height))
        found = pl.concat([found, self._read(self._with_keys(self._others(), missing), missing, ids)])
        return _put(events, found)

    def _are_near(self) -> pl.Series:
        has_new_batch = self.files["last_batch"] > self.known_to
        return self._touched_by(self.near) | (has_new_batch & self._touched_by(self.later))

    def _others(self) -> pl.DataFrame:
        return self.files.filter(self._touched_by(self.far) & ~self._are_near())

    def _touched_by(self, windows: Windows) -> pl.Series:
        return windows.touch(self.files["first_event"], self.files["last_event"])

    def _read(self, files: pl.DataFrame, asked: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
        """Return the ``row`` of each event found and the time of its prediction; ``ids`` are those of all rows."""
        found = self._collect(files, _COLUMNS, asked, [_ROW, *_COLUMNS[:-1]])
        same_id = found["prediction_id"] == ids.gather(found[_ROW])
        is_later = (found["batch_id"] > self.known_to) & self.later.contain(found["event_time"])
        is_seen = (self.far.contain(found["event_time"]) | is_later) & (found["batch_id"] <= self.last_logged)
        return found.filter(same_id & is_seen).select(_ROW, "event_time")

    def _with_keys(self, files: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the files that have a batch with one of the keys; not a byte of the ids is read for it."""
        keys = asked.select("sample_key").unique()
        batches = self._collect(files, ["batch_id", "sample_key"], keys, ["batch_id"])["batch_id"].unique().sort()
        known = batches.to_numpy()
        place = np.searchsorted(known, files["first_batch"].to_numpy())
        within = np.append(known, np.iinfo(np.int64).max)[place] <= files["last_batch"].to_numpy()
        return files.filter(pl.Series(within & (place < known.size), dtype=pl.Boolean))

    def _collect(self, files: pl.DataFrame, read: list[str], keys: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
        rows = self.predictions.scan(files["uri"], read)
        if keys.height <= _FEW:
            # Pushed into the scan, where it costs less than the join for as long as the set is in the cache.
            rows = rows.filter(pl.col("sample_key").is_in(keys["sample_key"].implode()))
        rows = rows.join(keys.lazy(), on="sample_key", how="inner")
        with reaching(self.predictions.location):
            return rows.select(columns).collect(engine="streaming")


def _holds(rows: pl.Series, height: int) -> pl.Series:
    held = np.zeros(height, dtype=np.bool_)
    held[rows.to_numpy()] = True
    return pl.Series(held)


def _put(events: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Lay the times found beside the events, in the events' order."""
    rows = found[_ROW].to_numpy()
    counts = np.bincount(rows, minlength=events.height)
    if counts.max(initial=0) > 1:
        numbered = events.with_row_index(_ROW).join(found, on=_ROW, how="left", maintain_order="left_right")
        return numbered.rename({"event_time_right": "predicted"}).drop(_ROW)
    times = np.zeros(events.height, dtype=np.int64)
    times[rows] = found["event_time"].to_physical().to_numpy()
    predicted = pl.Series(times).cast(found["event_time"].dtype)
    return events.with_columns(predicted=pl.when(pl.Series(counts > 0)).then(predicted))
