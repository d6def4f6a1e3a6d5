"""Appends a numbered batch to a Delta table exactly once.

The commit carries the application transaction ``(app, number)``. That alone does not stop a writer which opened the
table later from appending the same number again, so the commit is that of the version after the one that the number was
looked up in: either that version already knows the batch, or the commit is refused because another writer's came
between. A commit whose answer never came may have happened, and is looked for in the same way.

Where the last commit of the log is the one that this process made, nothing has to be looked up. Rows that bring a new
column, and tables that ask more of a writer than rows, are left to delta-rs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from flywheel.errors import FlywheelError, StorageDownError, StorageError
from flywheel.lake.commit import DataFile, Seen, commit, version_file, write_files
from flywheel.lake.options import delta_options
from flywheel.lake.storage import Location, file_mark
from flywheel.lake.trouble import reaching

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_ATTEMPTS = 20
_UNANSWERED = 3
_KEPT_TABLES = 256


@dataclass(frozen=True)
class _Tip:
    """A table after our own commit: what that commit's file is known by, and the app's newest batch."""

    seen: Seen
    mark: str
    number: int


_tips: dict[tuple[str, str], _Tip] = {}


def open_table(location: Location, version: int | None = None) -> DeltaTable | None:
    """Return the table, or None where none has been created yet."""
    try:
        with reaching(location):
            return DeltaTable(location.uri, version=version, storage_options=delta_options(location))
    except TableNotFoundError:
        return None


def create_table(location: Location, schema: pa.Schema, partition_by: list[str]) -> None:
    """Create the table; nothing happens if it, or another writer's, is there."""
    DeltaTable.create(
        location.uri,
        schema,
        mode="ignore",
        partition_by=partition_by,
        storage_options=delta_options(location),
        configuration={"delta.checkpointInterval": "50"},
    )


def append_once(location: Location, rows: pl.DataFrame, app: str, number: int, partition_by: list[str]) -> bool:
    """Append ``rows`` as batch ``number`` of ``app``, unless the table has that batch.

    Returns
    -------
    bool
        True if this call appended the rows, False if they were there already.
    """
    batch = _Batch(location, rows, app, number, partition_by)
    unanswered = 0
    for _ in range(_ATTEMPTS):
        try:
            if (appended := batch.append()) is not None:
                return appended
        except StorageDownError:
            unanswered += 1
            if unanswered == _UNANSWERED:
                raise
    raise FlywheelError(
        f"could not append batch {number} to {location.uri}: {_ATTEMPTS} other writers came first",
        state="nothing of this batch is in the table",
        next_step="run the same flow again",
    )


def newest_number(location: Location, table: DeltaTable, app: str) -> int | None:
    """Return the newest batch of ``app`` that the table has, as of the moment that it was opened."""
    with reaching(location):
        return table.transaction_version(app)


def _create(location: Location, schema: pa.Schema, partition_by: list[str]) -> None:
    try:
        with reaching(location):
            create_table(location, schema, partition_by)
    except (DeltaError, StorageDownError):
        # Another writer created it between our look and ours, or ours was not answered; if not, the error is real.
        if open_table(location) is None:
            raise


class _Batch:
    """A batch on its way into a table; its files are written once, however many versions they are offered to."""

    def __init__(self, location: Location, rows: pl.DataFrame, app: str, number: int, partition_by: list[str]) -> None:
        self._location = location
        self._rows = rows
        self._app = app
        self._number = number
        self._partition_by = partition_by
        self._files: list[DataFile] = []

    def append(self) -> bool | None:
        """Try once: True if the batch was appended, False if it was there, None if something else came between."""
        tip = _tips.pop((self._location.uri, self._app), None)
        if tip is not None and tip.number < self._number and self._is_newest(tip) and self._commit(tip.seen):
            return True
        table = open_table(self._location)
        if table is None:
            _create(self._location, self._rows.to_arrow().schema, self._partition_by)
            return None
        newest = newest_number(self._location, table, self._app)
        if newest is not None and newest >= self._number:
            return False
        seen = Seen.of(table)
        if seen.takes(self._rows, self._partition_by):
            return self._commit(seen) or None
        try:
            with reaching(self._location):
                _write(table, self._rows.to_arrow(), self._app, self._number)
        except CommitFailedError:
            return None
        return True

    def _is_newest(self, tip: _Tip) -> bool:
        """Whether the commit is still there, and not that of another table in its place."""
        if not tip.seen.takes(self._rows, self._partition_by):
            return False
        return file_mark(version_file(self._location, tip.seen.version)) == tip.mark

    def _commit(self, seen: Seen) -> bool:
        if not self._files:
            self._files = write_files(self._location, self._rows, self._partition_by)
        version = seen.version + 1
        mark = commit(self._location, version, self._files, self._app, self._number)
        if mark is None:
            return False
        if mark:
            _remember(self._location, self._app, _Tip(seen.at(version), mark, self._number))
        if version % seen.checkpoint_every == 0:
            _checkpoint(self._location)
        return True


def _remember(location: Location, app: str, tip: _Tip) -> None:
    if len(_tips) >= _KEPT_TABLES:
        _tips.clear()
    _tips[location.uri, app] = tip


def _checkpoint(location: Location) -> None:
    """Spare readers the log so far. The batch is in the table whether this goes well or not."""
    with suppress(DeltaError, StorageError, OSError):
        table = open_table(location)
        if table is not None:
            with reaching(location):
                table.create_checkpoint()
                table.cleanup_metadata()


def _write(table: DeltaTable, rows: pa.Table, app: str, number: int) -> None:
    write_deltalake(
        table,
        rows,
        mode="append",
        schema_mode="merge",
        commit_properties=CommitProperties(app_transactions=[Transaction(app, number)]),
    )
