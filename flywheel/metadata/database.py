"""Connections to the metadata database, and its migrations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from flywheel.metadata.migrations import current_migration, migrate, require_newest, wait_in_line
from flywheel.metadata.trouble import is_down, told

# How long a run waits for a server that it has reached before, which restarts.
_PATIENCE_SECONDS = 30.0
_LONGEST_PAUSE = 2.0
# A server that is not there, or a network that takes everything and gives nothing back, is noticed within a minute.
# libpq's names; what the URL says of them holds.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}


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
        return f"Database({self.place!r})"

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

        On SQLite it holds the write lock from its start, so that what it has read stays true until it commits. A
        server that this process has reached before, and that restarts, is waited for; what goes wrong once the
        transaction has begun is raised, since only the caller knows whether it may be done again.

        Raises
        ------
        DatabaseDownError, DiskFullError, DatabaseError
            Nothing of the transaction is stored; or all of it, where the connection ended during the commit.
        """
        with (
            self.connection() as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection, under the same promises as ``session``, but with no transaction on it."""
        with told(self.url), self._connect() as connection:
            yield connection

    def _connect(self) -> Connection:
        deadline = time.monotonic() + (_PATIENCE_SECONDS if self.url in _reached else 0)
        pause = 0.1
        while True:
            try:
                return self.engine.connect()
            except DBAPIError as error:
                if not is_down(error) or time.monotonic() > deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    @property
    def place(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    def create(self) -> None:
        """Make the tables; a second call changes nothing, several at once wait in line.

        Tables of an earlier Flywheel are left to ``flywheel.metadata.upgrade``: that is a person's decision.
        """
        with self.connection() as connection, connection.begin():
            wait_in_line(connection)
            found = current_migration(connection)
            if found is None:
                migrate(connection)
            else:
                require_newest(found, self.place)

    def require(self) -> None:
        """Raise the error that says what to type, unless the tables are there and at the newest migration."""
        with self.connection() as connection:
            found = current_migration(connection)
        require_newest(found, self.place)


@cache
def _shared_engine(url: URL) -> Engine:
    # One pool a process: each step of a run opens the database anew, and a pool of each one's own would keep its
    # connections until the garbage collector comes by, which a server that allows a hundred of them notices.
    patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=patience)
    event.listen(engine, "connect", lambda *_: _reached.add(url))
    return engine


_reached: set[URL] = set()


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
