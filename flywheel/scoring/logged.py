"""Which ids the log has: first by their 64-bit keys, which a run keeps in memory, then the ids themselves."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.lake.duck import connect, query
from flywheel.lake.live import LiveFile, live_files
from flywheel.lake.span import time_span
from flywheel.lake.tables import LakeTable
from flywheel.lake.trouble import reaching

# 128 MiB; the keys of partitions with more rows are read anew for each batch.
_MOST_KEPT = 1 << 24
_KEY = "sample_key"


def logged_ids(predictions: LakeTable, rows: pl.DataFrame, number: int) -> pl.DataFrame:
    """Return the ``prediction_id`` of those of ``rows`` that a batch before ``number`` has logged on the same dates."""
    ids = rows.select("prediction_id")
    times = time_span(rows)
    files = live_files(predictions.location, (times[0].date(), times[1].date())) if times else []
    if not files or not _kept.may_have(predictions, files, rows[_KEY]):
        return ids.clear()
    with connect() as connection:
        connection.register("ids", ids.to_arrow())
        predictions.attach(connection, "predictions", [file.uri for file in files], ["prediction_id", "batch_id"])
        return query(connection, "find_logged_ids", {"batch": number})


class LoggedKeys:
    """The keys in the files that were looked at last. Files do not change, so only new ones are read.

    Parameters
    ----------
    most
        How many keys are kept at most.
    """

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._lock = Lock()
        self._kept = _Kept()

    def may_have(self, table: LakeTable, files: Sequence[LiveFile], keys: pl.Series) -> bool:
        """Whether a row of ``files`` may have one of ``keys``; False is certain."""
        with self._lock:
            if self._keep(table, files):
                return self._kept.may_have(keys)
        key = pl.col(_KEY)
        rows = table.scan([file.uri for file in files], [_KEY])
        found = rows.filter(key.is_null() | key.is_in(keys.implode())).head(1)
        with reaching(table.location):
            return found.collect(engine="streaming").height > 0

    def _keep(self, table: LakeTable, files: Sequence[LiveFile]) -> bool:
        """Read what is not there yet; False, and nothing is there, where it is too much."""
        wanted = frozenset(file.uri for file in files)
        if not self._kept.files <= wanted:
            self._kept = _Kept()
        new = [file for file in files if file.uri not in self._kept.files]
        if not new:
            return True
        if self._kept.count + sum(file.rows for file in new) > self._most:
            self._kept = _Kept()
            return False
        self._kept.add(table.read([file.uri for file in new], [_KEY])[_KEY])
        self._kept.files = wanted
        return True


class _Kept:
    """The keys of some files, in sorted arrays each at least twice as long as the next: few to search, cheap to add."""

    def __init__(self) -> None:
        self.files: frozenset[str] = frozenset()
        self._runs: list[npt.NDArray[np.int64]] = []
        self._has_unknown = False

    @property
    def count(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, keys: pl.Series) -> None:
        self._has_unknown = self._has_unknown or keys.has_nulls()
        run = np.sort(keys.drop_nulls().to_numpy())
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")  # which merges what is in order
        self._runs.append(run)

    def may_have(self, keys: pl.Series) -> bool:
        wanted = np.sort(keys.to_numpy())  # in order, each search ends near the one before
        return self._has_unknown or any(_share(run, wanted) for run in self._runs if len(run))


def _share(run: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> bool:
    """Whether two sorted arrays have a number in common; the first is not empty."""
    found = np.minimum(np.searchsorted(run, wanted), len(run) - 1)
    return bool((run[found] == wanted).any())


_kept = LoggedKeys()
