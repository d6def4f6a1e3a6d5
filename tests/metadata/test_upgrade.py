"""Metadata that an earlier Flywheel made, with a loop's data in it: upgraded, and the loop goes on as if it always had
been this one's."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from parcels import Parcels, end_of, known_after
from plain import run
from processes import PostgreSQL
from sqlalchemy import Connection, MetaData, Table, inspect, select, text
from state import assert_same, state_of

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.errors import FlywheelError
from flywheel.metadata.database import Database
from flywheel.metadata.migrations import VERSION_TABLE, current_migration, known_migrations, migrate
from flywheel.metadata.schema import Base
from flywheel.metadata.upgrade import upgrade
from flywheel.serving.server import ModelServer

EARLIER = known_migrations()[:-1]
NEWEST = known_migrations()[-1]
Rows = dict[str, list[Any]]


def tables_of(connection: Connection) -> dict[str, Table]:
    """The tables that a database has, whatever this Flywheel thinks of them."""
    found = MetaData()
    found.reflect(connection)
    return {name: table for name, table in found.tables.items() if name != VERSION_TABLE}


def columns_of(database: Database) -> dict[str, list[str]]:
    with database.connection() as connection:
        return {name: table.columns.keys() for name, table in tables_of(connection).items()}


def rows_of(database: Database, columns: dict[str, list[str]] | None = None) -> Rows:
    """Every row of every table, as the database has it; with ``columns`` only what an earlier Flywheel had."""
    with database.connection() as connection:
        tables = tables_of(connection)
        wanted = columns or {name: table.columns.keys() for name, table in tables.items()}
        return {
            name: sorted(repr(row) for row in connection.execute(select(*(tables[name].c[each] for each in names))))
            for name, names in wanted.items()
        }


def made_by_earlier(source: Database, target: Database, migration: str) -> None:
    """Make ``target`` as the Flywheel of that migration did, and fill it with all that ``source`` has for it."""
    with target.connection() as new, new.begin():
        migrate(new, migration)
        tables = MetaData()
        tables.reflect(new)
        with source.connection() as old:
            for table in tables.sorted_tables:
                if table.name != VERSION_TABLE:
                    there = Table(table.name, MetaData(), autoload_with=old)
                    columns = [there.c[column.name] for column in table.columns]
                    for row in old.execute(select(*columns)):
                        new.execute(table.insert(), [row._asdict()])
        if new.dialect.name == "postgresql":  # rows with numbers of their own do not move the counter
            new.execute(text("SELECT setval('model_events_id_seq', (SELECT max(id) FROM model_events))"))


def differences(database: Database) -> list[object]:
    with database.connection() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return list(compare_metadata(context, Base.metadata))


@pytest.fixture(scope="module")
def looped(embedded: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """A workspace whose loop has turned once, with the records and the feedback of a second day."""
    copy = embedded.copy(tmp_path_factory.mktemp("looped") / "w")
    with ModelServer(copy.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        served = replace(copy, address=server.address)
        for day in (1, 2):
            served.day(day, 120)
        turn(served, 1)
        run(check_drift, served, end_of(1))
        run(retrain, served, known_after(1))
        yield served


def turn(parcels: Parcels, day: int) -> None:
    run(infer, parcels, end_of(day))
    run(join_feedback, parcels, known_after(day))


@contextmanager
def with_metadata_of(parcels: Parcels, migration: str) -> Iterator[Database]:
    """Put the pipeline's metadata back to what they were at an earlier migration."""
    file = Path(parcels.workspace.database().url.database or "")
    now = Path(file).rename(file.with_name("now.db"))
    for suffix in ("-wal", "-shm"):
        if (beside := Path(f"{file}{suffix}")).exists():
            beside.rename(f"{now}{suffix}")
    source, target = Database(f"sqlite:///{now}"), parcels.workspace.database()
    made_by_earlier(source, target, migration)
    source.engine.dispose()
    yield target
    target.engine.dispose()


@pytest.mark.parametrize("migration", EARLIER)
def test_the_loop_goes_on_with_upgraded_metadata(looped: Parcels, tmp_path: Path, migration: str) -> None:
    calm = looped.copy(tmp_path / "calm")
    turn(calm, 2)
    old = looped.copy(tmp_path / "old")
    with with_metadata_of(old, migration) as database:
        before, columns = rows_of(database), columns_of(database)
        assert all(before[name] for name in ("batches", "model_versions", "model_events", "retrainings", "exports"))
        with pytest.raises(FlywheelError, match=f"at migration {migration}.*needs {NEWEST}") as told:
            _ = old.context
        assert "flywheel upgrade" in str(told.value)
        with pytest.raises(FlywheelError, match="flywheel upgrade"):
            database.create()
        done = upgrade(database)
        assert (done.before, done.after) == (migration, NEWEST)
        assert rows_of(database, columns) == before
        assert differences(database) == []
        assert done.backup is not None
        with sqlite3.connect(done.backup) as copy:
            assert copy.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall() == [(migration,)]
            assert copy.execute("SELECT count(*) FROM batches").fetchone()[0] == len(before["batches"])
        copy.close()
        assert upgrade(database) == type(done)(NEWEST, NEWEST)
    turn(old, 2)
    assert_same(state_of(old), state_of(calm))


@pytest.mark.parametrize("migration", EARLIER)
def test_upgrade_on_postgresql(looped: Parcels, postgresql: PostgreSQL, migration: str) -> None:
    database = Database(postgresql.fresh())
    made_by_earlier(looped.workspace.database(), database, migration)
    before, columns = rows_of(database), columns_of(database)
    with pytest.raises(FlywheelError, match="flywheel upgrade"):
        database.require()
    done = upgrade(database)
    assert (done.before, done.after, done.backup) == (migration, NEWEST, None)
    assert rows_of(database, columns) == before
    assert differences(database) == []


UPGRADE = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from flywheel.metadata.database import Database
from flywheel.metadata.upgrade import upgrade
import alembic.command
database, stop_at = Database(sys.argv[1]), int(sys.argv[2])
changes = 0

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *more):
    global changes
    if statement.split()[0] in ("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE"):
        changes += 1
        if changes == stop_at:
            os.kill(os.getpid(), signal.SIGKILL)

print("ready", flush=True)
sys.stdin.readline()
done = upgrade(database)
print(done.before, done.after, changes)
"""


def start(url: str, stop_at: int = 0) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", UPGRADE, url, str(stop_at)]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=dict(os.environ))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, errors = process.communicate("go\n", timeout=60)
    return process.returncode, out + errors


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Database]:
    """Makes empty databases of one kind."""
    numbers = iter(range(100))
    if request.param == "sqlite":
        return lambda: Database(f"sqlite:///{tmp_path}/{next(numbers)}.db")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return lambda: Database(server.fresh())


def test_an_upgrade_that_is_killed_has_changed_nothing(looped: Parcels, fresh: Callable[[], Database]) -> None:
    oldest = EARLIER[0]
    database = fresh()
    made_by_earlier(looped.workspace.database(), database, oldest)
    before, columns = rows_of(database), columns_of(database)
    url = database.url.render_as_string(hide_password=False)
    for stop_at in (1, 2):
        code, told = go(start(url, stop_at))
        assert code == -signal.SIGKILL, told
        with database.connection() as connection:
            assert current_migration(connection) == oldest
        assert rows_of(database) == before
    code, told = go(start(url))
    assert (code, told.split()[:2]) == (0, [oldest, NEWEST]), told
    assert rows_of(database, columns) == before


def test_two_upgrades_at_once(looped: Parcels, fresh: Callable[[], Database]) -> None:
    database = fresh()
    made_by_earlier(looped.workspace.database(), database, EARLIER[0])
    before, columns = rows_of(database), columns_of(database)
    url = database.url.render_as_string(hide_password=False)
    both = [start(url), start(url)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sorted(out.split()[0] for out, _ in told) == [EARLIER[0], NEWEST]
    assert rows_of(database, columns) == before
    assert differences(database) == []


def test_metadata_of_a_newer_flywheel_are_left_alone(fresh: Callable[[], Database]) -> None:
    database = fresh()
    database.create()
    with database.connection() as connection, connection.begin():
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    for attempt in (database.require, database.create, lambda: upgrade(database)):
        with pytest.raises(FlywheelError, match=r"newer Flywheel.*migration 9999") as told:
            attempt()
        assert "pip install --upgrade flywheel-batch" in str(told.value)


def test_where_there_are_no_tables_there_is_nothing_to_upgrade(fresh: Callable[[], Database]) -> None:
    database = fresh()
    with pytest.raises(FlywheelError, match="flywheel init"):
        upgrade(database)
    with database.connection() as connection:
        assert inspect(connection).get_table_names() == []
