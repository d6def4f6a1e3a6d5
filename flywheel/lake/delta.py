"""Appends a numbered batch to a Delta table exactly once.

The commit carries the application transaction ``(app, number)``. That alone does not stop a writer which opened the
table later from appending the same number again, so the number is looked up on the same handle that is committed with:
either the handle already knows the batch, or delta-rs refuses the commit because another writer's came between. A
commit whose answer never came may have happened, and is looked for in the same way.
"""

from __future__ import annotations

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from flywheel.errors import FlywheelError, StorageDownError
from flywheel.lake.options import delta_options
from flywheel.lake.storage import Location
from flywheel.lake.trouble import reaching

_ATTEMPTS = 20
_UNANSWERED = 3


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


def append_once(location: Location, rows: pa.Table, app: str, number: int, partition_by: list[str]) -> bool:
    """Append ``rows`` as batch ``number`` of ``app``, unless the table has that batch.

    Returns
    -------
    bool
        True if this call appended the rows, False if they were there already.
    """
    unanswered = 0
    for _ in range(_ATTEMPTS):
        table = open_table(location)
        if table is None:
            _create(location, rows.schema, partition_by)
            continue
        newest = newest_number(location, table, app)
        if newest is not None and newest >= number:
            return False
        try:
            with reaching(location):
                _commit(table, rows, app, number)
        except CommitFailedError:
            continue
        except StorageDownError:
            unanswered += 1
            if unanswered == _UNANSWERED:
                raise
            continue
        return True
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


def _commit(table: DeltaTable, rows: pa.Table, app: str, number: int) -> None:
    write_deltalake(
        table,
        rows,
        mode="append",
        schema_mode="merge",
        commit_properties=CommitProperties(app_transactions=[Transaction(app, number)]),
    )
