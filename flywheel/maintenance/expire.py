"""Removes what is older than a table keeps it: whole partitions, in one commit.

The rows are gone from the newest version at once; their files go later (``vacuum``), so who reads an older version goes
on. A writer that appends at the same moment loses the race at most, and appends again.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from sqlalchemy.exc import IntegrityError

from flywheel.context import PipelineContext
from flywheel.errors import FlywheelError
from flywheel.lake.delta import open_table
from flywheel.lake.trouble import reaching
from flywheel.maintenance.compact import data_files
from flywheel.maintenance.retention import tables_of
from flywheel.metadata.schema import Expiration

_ATTEMPTS = 20


def expire_rows(context: PipelineContext, name: str, first: date) -> int:
    """Remove a table's partitions before ``first``, after noting it; return how many rows that were.

    The application transactions stay in the log, so a batch whose rows have gone is not appended again.
    """
    location = tables_of(context)[name].location
    for _ in range(_ATTEMPTS):
        table = open_table(location)
        older = _rows_before(table, first) if table is not None else 0
        if table is None or older == 0:
            return 0
        _note(context, name, first, older)
        try:
            with reaching(location):
                return delete_before(table, first)
        except CommitFailedError:
            continue
    raise FlywheelError(
        f"could not remove the rows before {first} from {location.uri}: {_ATTEMPTS} other writers came first",
        state="they are all there still",
        next_step=f"flywheel run maintain -p {context.name}",
    )


def delete_before(table: DeltaTable, first: date) -> int:
    """Commit that the partitions before ``first`` are gone."""
    return int(table.delete(f"date < '{first.isoformat()}'")["num_deleted_rows"])


def _rows_before(table: DeltaTable, first: date) -> int:
    return sum(file.rows for file in data_files(table) if file.date is not None and file.date < first.isoformat())


def _note(context: PipelineContext, name: str, first: date, rows: int) -> None:
    row = Expiration(pipeline=context.name, table_name=name, before=first, rows=rows, expired_at=datetime.now(UTC))
    try:
        with context.database.session() as session:
            session.add(row)
    except IntegrityError:  # an earlier run noted it, and was killed before it did it
        return
