"""Which ids the log has: first by their 64-bit keys, which a run keeps in memory, then the ids themselves."""

from __future__ import annotations

from threading import Lock

import polars as pl

from flywheel.lake.duck import connect, query
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
    files = predictions.files(dates=(times[0].date(), times[1].date())) if times else []
    if not files or not _kept.may_have(predictions, files, rows[_KEY]):
        return ids.clear()
    with connect() as connection:
        connection.register("ids", ids.to_arrow())
        predictions.attach(connection, "predictions", files, ["prediction_id", "batch_id"])
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
        self._files: frozenset[str] = frozenset()
        self._keys = pl.Series(_KEY, dtype=pl.Int64)

    def may_have(self, table: LakeTable, files: list[str], keys: pl.Series) -> bool:
        """Whether a row of ``files`` may have one of ``keys``; False is certain."""
        asked = keys.implode()
        with self._lock:
            if self._keep(table, files):
                return bool((self._keys.is_null() | self._keys.is_in(asked)).any())
        key = pl.col(_KEY)
        found = table.scan(files, [_KEY]).filter(key.is_null() | key.is_in(asked)).head(1)
        with reaching(table.location):
            return found.collect(engine="streaming").height > 0

    def _keep(self, table: LakeTable, files: list[str]) -> bool:
        """Read what is not there yet; False, and nothing is there, where it is too much."""
        wanted = frozenset(files)
        if not self._files <= wanted:
            self._forget()
        new = [file for file in files if file not in self._files]
        if not new:
            return True
        with reaching(table.location):
            rows = int(table.scan(new, [_KEY]).select(pl.len()).collect().item())
        if rows + len(self._keys) > self._most:
            self._forget()
            return False
        self._keys = pl.concat([self._keys, table.read(new, [_KEY])[_KEY]])
        self._files = wanted
        return True

    def _forget(self) -> None:
        self._files, self._keys = frozenset(), self._keys.clear()


_kept = LoggedKeys()
