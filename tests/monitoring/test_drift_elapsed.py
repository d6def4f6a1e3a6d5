"""How much of the budget of false alarms a check may spend: by the time since the one before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flywheel.drift.evidence.budget import level
from flywheel.manifest.false_alarms import FalseAlarms
from flywheel.metadata.database import Database
from flywheel.metadata.schema import DriftCheck
from flywheel.monitoring.elapsed import elapsed_since_check

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path / 'metadata.db'}")
    made.create()
    return made


def log(database: Database, as_of: datetime, outcome: str = "no_drift", pipeline: str = "orders") -> None:
    row = DriftCheck(
        id=f"{pipeline}-{as_of}", pipeline=pipeline, as_of=as_of, baseline_id="b", first_batch=1, last_batch=1,
        rows=1000, outcome=outcome, severity="none", action="none", reason="", measures=[], checked_at=NOON,
    )  # fmt: skip
    with database.session() as session:
        session.add(row)


def test_the_first_check_answers_for_its_window(database: Database) -> None:
    assert elapsed_since_check(database, "orders", WEEK, NOON) == WEEK
    assert elapsed_since_check(database, "orders", None, NOON) == timedelta(days=1)


def test_any_other_for_the_time_since_the_one_before(database: Database) -> None:
    log(database, NOON - 5 * HOUR)
    log(database, NOON - 2 * HOUR, "drift")
    log(database, NOON - HOUR, "not_enough_data")
    log(database, NOON - HOUR / 2, pipeline="parcels")
    assert elapsed_since_check(database, "orders", WEEK, NOON) == 2 * HOUR


def test_a_run_at_an_earlier_time_or_once_more_answers_as_it_did(database: Database) -> None:
    log(database, NOON - 5 * HOUR)
    log(database, NOON)
    log(database, NOON + HOUR)
    assert elapsed_since_check(database, "orders", WEEK, NOON) == 5 * HOUR


def test_checks_share_the_budget_however_often_they_run(database: Database) -> None:
    log(database, NOON)
    hours = [NOON + k * HOUR for k in range(1, 25)]
    spent = 0.0
    for as_of in hours:
        spent += level(FalseAlarms(1, timedelta(days=30)), elapsed_since_check(database, "orders", WEEK, as_of))
        log(database, as_of)
    assert spent == pytest.approx(1 / 30)
