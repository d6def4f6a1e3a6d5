"""Connections to the metadata database, and its migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.orm import Session

from flywheel.errors import FlywheelError

_MIGRATION_LOCK = 7203914  # any number that other users of the same PostgreSQL are unlikely to lock


class Database:
    """The metadata database: SQLite by default, PostgreSQL (``postgresql+psycopg://``) in production.

    Parameters
    ----------
    url
        SQLAlchemy URL. It may hold a password: it is never printed whole.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)!r})"

    @cached_property
    def engine(self) -> Engine:
        if self.url.get_backend_name() != "sqlite":
            return _shared_engine(self.url)
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(self.url, connect_args={"timeout": 60})
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_immediately)
        return engine

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back if it raises.

        On SQLite it holds the write lock from its start, so that what it has read stays true until it commits.
        """
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def create(self) -> None:
        """Bring the tables to the newest migration; a second call changes nothing, several at once wait in line."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(resources.files("sql") / "migrations"))
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # a SQLite transaction holds the write lock anyway
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def require(self) -> None:
        """Raise the error that says how to make the tables, unless they are there."""
        if not inspect(self.engine).has_table("batches"):
            raise FlywheelError(
                f"no Flywheel tables in {self.url.render_as_string(hide_password=True)}", next_step="flywheel init"
            )


@cache
def _shared_engine(url: URL) -> Engine:
    # One pool a process: each step of a run opens the database anew, and a pool of each one's own would keep its
    # connections until the garbage collector comes by, which a server that allows a hundred of them notices.
    return create_engine(url, pool_pre_ping=True)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # pysqlite begins transactions late and by itself; we begin them (below), so that a read is followed by our write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_immediately(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
