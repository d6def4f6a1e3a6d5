"""Which migration a database's tables are at, and the way to the newest one.

``sql/migrations/versions`` has them, numbered; the names of its files tell the numbers, since importing Alembic takes a
second that most commands have no other use for.
"""

from __future__ import annotations

from importlib import resources
from importlib.metadata import version

from sqlalchemy import Connection, inspect, text

from flywheel.errors import FlywheelError

VERSION_TABLE = "flywheel_migration"
_LOCK = 7203914  # any number that other users of the same PostgreSQL are unlikely to lock


def known_migrations() -> list[str]:
    """Return the numbers of the migrations that this Flywheel has, oldest first.

    >>> known_migrations()[0]
    '0001'
    """
    files = (resources.files("sql") / "migrations" / "versions").iterdir()
    return sorted(file.name.partition("_")[0] for file in files if file.name[:1].isdigit())


def current_migration(connection: Connection) -> str | None:
    """Return the migration that the tables are at; None where there are no tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return found


def wait_in_line(connection: Connection) -> None:
    """Hold the right to migrate until the transaction ends; on SQLite it is the write lock that every one holds."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def migrate(connection: Connection, to: str = "head") -> None:
    """Bring the tables to a migration, in the transaction that ``connection`` has begun: all of it, or nothing."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("sql") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def require_newest(found: str | None, place: str) -> None:
    """Raise the error that says what to type, unless the tables are at this Flywheel's newest migration."""
    known = known_migrations()
    if found is None:
        raise FlywheelError(f"no Flywheel tables in {place}", next_step="flywheel init")
    if found not in known:
        raise FlywheelError(
            f"a newer Flywheel has upgraded the metadata in {place}: they are at migration {found}, "
            f"this one, {version('flywheel-batch')}, knows {known[-1]}",
            state="nothing was read or changed",
            next_step="install that Flywheel here too (pip install --upgrade flywheel-batch), "
            "or put back the backup from before its upgrade",
        )
    if found != known[-1]:
        raise FlywheelError(
            f"the metadata in {place} are an earlier Flywheel's: they are at migration {found}, "
            f"this one, {version('flywheel-batch')}, needs {known[-1]}",
            state="nothing was read or changed",
            next_step="stop what runs on it, then: flywheel upgrade",
        )
