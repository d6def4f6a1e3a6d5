"""Finds the predictions that events are about, in as few files as it can.

A file is read where an event could be about a prediction in it: the log says which event times and batches each one
has. DuckDB joins them by the sample key, a 64-bit hash of the id, and keeps the rows whose ids are the same. It holds
the events in memory and streams the predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import duckdb
import numpy as np
import polars as pl

from flywheel.lake.contents import file_contents
from flywheel.lake.duck import connect, query
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
        asked = events.select("sample_key", "prediction_id").with_row_index(_ROW)
        with connect() as connection:
            connection.execute("SET preserve_insertion_order = false")
            found = self._find(connection, self.files.filter(self._are_near()), asked)
            missing = asked.filter(~_holds(found[_ROW], asked.height))
            others = self._with_keys(connection, self._others(), missing)
            found = pl.concat([found, self._find(connection, others, missing)])
        return _put(events, found)

    def _are_near(self) -> pl.Series:
        has_new_batch = self.files["last_batch"] > self.known_to
        return self._touched_by(self.near) | (has_new_batch & self._touched_by(self.later))

    def _others(self) -> pl.DataFrame:
        return self.files.filter(self._touched_by(self.far) & ~self._are_near())

    def _touched_by(self, windows: Windows) -> pl.Series:
        return windows.touch(self.files["first_event"], self.files["last_event"])

    def _find(self, connection: duckdb.DuckDBPyConnection, files: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
        """Return the ``row`` of each event found, and the time of its prediction."""
        self._attach(connection, files, asked, _COLUMNS)
        found = self._query(connection, "find_predictions", {"last_logged": self.last_logged})
        is_later = (found["batch_id"] > self.known_to) & self.later.contain(found["event_time"])
        return found.filter(self.far.contain(found["event_time"]) | is_later).select(_ROW, "event_time")

    def _with_keys(
        self, connection: duckdb.DuckDBPyConnection, files: pl.DataFrame, asked: pl.DataFrame
    ) -> pl.DataFrame:
        """Return the files that have a batch with one of the keys; not a byte of the ids is read for it."""
        self._attach(connection, files, asked, ["batch_id", "sample_key"])
        known = self._query(connection, "find_batches_of_keys", {})["batch_id"].to_numpy()
        place = np.searchsorted(known, files["first_batch"].to_numpy())
        within = np.append(known, np.iinfo(np.int64).max)[place] <= files["last_batch"].to_numpy()
        return files.filter(pl.Series(within & (place < known.size), dtype=pl.Boolean))

    def _attach(
        self, connection: duckdb.DuckDBPyConnection, files: pl.DataFrame, asked: pl.DataFrame, columns: list[str]
    ) -> None:
        connection.register("events", asked.to_arrow())
        # What is registered would hide the view that is attached after it.
        connection.unregister("predictions")
        if self.predictions.location.is_local and asked.height > _FEW:
            self.predictions.attach(connection, "predictions", files["uri"], columns)
            return
        # Polars skips the other columns of a row by its key, and reaches buckets; a large set is slower than the join.
        has_key = pl.col("sample_key").is_in(asked["sample_key"].implode())
        with reaching(self.predictions.location):
            rows = self.predictions.scan(files["uri"], columns).filter(has_key).collect(engine="streaming")
        connection.register("predictions", rows.to_arrow())

    def _query(
        self, connection: duckdb.DuckDBPyConnection, statement: str, parameters: dict[str, object]
    ) -> pl.DataFrame:
        with reaching(self.predictions.location):
            return query(connection, statement, parameters)


def _holds(rows: pl.Series, height: int) -> pl.Series:
    held = np.zeros(height, dtype=np.bool_)
    held[rows.to_numpy()] = True
    return pl.Series(held)


def _put(events: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Lay the times found beside the events, in the events' order."""
    rows = found[_ROW].to_numpy()
    counts = np.bincount(rows, minlength=events.height)
    if counts.max(initial=0) > 1:
        found = found.sort(_ROW, "event_time")
        numbered = events.with_row_index(_ROW).join(found, on=_ROW, how="left", maintain_order="left_right")
        return numbered.rename({"event_time_right": "predicted"}).drop(_ROW)
    times = np.zeros(events.height, dtype=np.int64)
    times[rows] = found["event_time"].to_physical().to_numpy()
    predicted = pl.Series(times).cast(found["event_time"].dtype)
    return events.with_columns(predicted=pl.when(pl.Series(counts > 0)).then(predicted))
