"""The metadata tables on PostgreSQL: made by the migrations as the models describe them, by whoever comes first."""

from __future__ import annotations

import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from processes import PostgreSQL
from sqlalchemy import text

from flywheel.metadata.database import Database
from flywheel.metadata.schema import Base

CREATE = """
import sys
from alembic import command  # loaded before the start, so that nothing but the work is left
from flywheel.metadata.database import Database
database = Database(sys.argv[1])
database.engine.connect().close()
print("ready", flush=True)
sys.stdin.readline()
database.create()
"""


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "flywheel_migration"})
        return list(compare_metadata(context, Base.metadata))


def test_migrations_and_models_agree(postgresql: PostgreSQL) -> None:
    database = Database(postgresql.fresh())
    assert differences(database) != []
    database.create()
    database.create()
    assert differences(database) == []


def test_processes_that_create_the_tables_at_once(postgresql: PostgreSQL) -> None:
    url = postgresql.fresh()
    command = [sys.executable, "-c", CREATE, url]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    database = Database(url)
    assert differences(database) == []
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM flywheel_migration")) == 1
