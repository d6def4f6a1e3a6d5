"""What a driver raises, in plain words: which of it may pass by itself, and never a password."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError

from flywheel.errors import DatabaseDownError, DatabaseError, DiskFullError, FlywheelError, TransientError
from flywheel.metadata.database import Database
from flywheel.metadata.trouble import told

URL = make_url("postgresql+psycopg://me:hunter2@db.example/flywheel")


def tell(error: Exception, statement: str | None = None) -> FlywheelError:
    with pytest.raises(FlywheelError) as raised, told(URL):
        raise OperationalError(statement, None, error)
    assert raised.value.state
    assert raised.value.next_step
    assert "hunter2" not in str(raised.value)
    return raised.value


def test_a_server_that_is_not_there_may_come() -> None:
    told = tell(psycopg.OperationalError("connection failed: hunter2: Connection refused"))
    assert isinstance(told, DatabaseDownError)
    assert isinstance(told, TransientError)
    assert "***@db.example" in told.what


@pytest.mark.parametrize(
    "reason",
    ['FATAL:  password authentication failed for user "me"', 'FATAL:  database "flywheel" does not exist'],
)
def test_a_server_that_does_not_let_us_in_waits_for_a_person(reason: str) -> None:
    told = tell(psycopg.OperationalError(f"connection failed: {reason}"))
    assert isinstance(told, DatabaseError)
    assert not isinstance(told, TransientError)
    assert "FLYWHEEL_DATABASE_URL" in told.next_step


def test_conflicts_and_shutdowns_may_pass() -> None:
    for kind in (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.AdminShutdown):
        assert isinstance(tell(kind("so it is"), "UPDATE batches"), DatabaseDownError)


def test_a_full_disk_is_told() -> None:
    told = tell(psycopg.errors.DiskFull("could not extend file"), "INSERT INTO batches")
    assert isinstance(told, DiskFullError)
    assert "free space" in told.next_step


def test_the_statement_and_its_values_are_not_shown() -> None:
    told = tell(psycopg.errors.UndefinedTable('relation "batches" does not exist'), "SELECT 'planted'")
    assert "planted" not in str(told)
    assert told.__cause__ is None


def test_what_another_run_did_first_is_an_answer(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/m.db")
    with database.session() as session:
        session.execute(text("CREATE TABLE one (n INTEGER PRIMARY KEY)"))
    with pytest.raises(IntegrityError), database.session() as session:
        session.execute(text("INSERT INTO one VALUES (1), (1)"))
    with pytest.raises(DatabaseError, match="no such table: two"), database.session() as session:
        session.execute(text("SELECT * FROM two"))
    with database.session() as session:
        assert session.scalar(text("SELECT count(*) FROM one")) == 0
    database.engine.dispose()
