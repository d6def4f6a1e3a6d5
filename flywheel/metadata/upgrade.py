"""Brings the metadata of an earlier Flywheel to this one's, with a copy beside them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flywheel.metadata.database import Database
from flywheel.metadata.migrations import current_migration, known_migrations, migrate, require_newest, wait_in_line


@dataclass(frozen=True)
class Upgrade:
    """The migration that the metadata were at and the one that they are at now; where a copy of them is, if any."""

    before: str
    after: str
    backup: Path | None = None

    @property
    def changed(self) -> bool:
        return self.before != self.after


def upgrade(database: Database) -> Upgrade:
    """Run the migrations that a database lacks, in one transaction: one that is interrupted has changed nothing.

    A SQLite file is copied first, to ``<file>.<its migration>.bak``. Of several upgrades at once the first does it.
    """
    newest = known_migrations()[-1]
    with database.connection() as connection, connection.begin():
        wait_in_line(connection)
        before = current_migration(connection)
        if before not in known_migrations():
            require_newest(before, database.place)
        if before is None or before == newest:
            return Upgrade(newest, newest)
        backup = _copy_aside(database, before)
        migrate(connection)
    return Upgrade(before, newest, backup)


def _copy_aside(database: Database, migration: str) -> Path | None:
    """Copy a SQLite database, whose write lock we hold; a copy that is there is replaced once this one is whole."""
    file = database.url.database
    if database.url.get_backend_name() != "sqlite" or not file:
        return None
    target = Path(f"{file}.{migration}.bak")
    unfinished = Path(f"{target}.part")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(file, timeout=60)) as source, closing(sqlite3.connect(unfinished)) as copy:
        source.backup(copy)
    unfinished.replace(target)
    return target
