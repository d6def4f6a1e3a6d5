"""A batch is planned once, finished before the next is planned, and committed once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy.exc import StatementError

from flywheel.metadata.database import Database
from flywheel.metadata.ledger import InferencePlan, Ledger, LedgerEntry
from flywheel.sources.base import Progress, Slice

NOW = datetime(2013, 2, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/metadata.db")
    database.create()
    yield database
    database.engine.dispose()


def open_ledger(database: Database) -> Ledger[InferencePlan]:
    return Ledger(database, "flight-delays", "records", InferencePlan)


def next_ten_rows(progress: Mapping[str, Progress]) -> InferencePlan:
    start = progress["day.csv"].rows if "day.csv" in progress else 0
    part = Slice(part="day.csv", start=start, stop=start + 10, mark=str(start + 10))
    return InferencePlan(slices=[part], model_id="m", model_version=1)


def plan(ledger: Ledger[InferencePlan]) -> LedgerEntry[InferencePlan]:
    entry = ledger.next_batch(next_ten_rows, revision=1, as_of=NOW)
    assert entry is not None
    return entry


def test_a_planned_batch_is_handed_out_until_it_is_committed(database: Database) -> None:
    ledger = open_ledger(database)
    first = plan(ledger)
    assert plan(open_ledger(Database(str(database.url)))) == first
    ledger.commit(first.number, {"ok": 10})
    second = plan(ledger)
    assert (second.number, second.plan.slices[0].start) == (2, 10)
    assert ledger.progress()["day.csv"] == Progress(rows=20, mark="20")


def test_committing_twice_keeps_the_first_counts(database: Database) -> None:
    ledger = open_ledger(database)
    entry = plan(ledger)
    ledger.commit(entry.number, {"ok": 10})
    ledger.commit(entry.number, {"ok": 99})
    assert [done.counts for done in ledger.committed_since(0)] == [{"ok": 10}]


def test_nothing_to_read_plans_nothing(database: Database) -> None:
    assert open_ledger(database).next_batch(lambda progress: None, revision=1, as_of=NOW) is None
    assert open_ledger(database).latest() is None


def test_feeds_and_pipelines_are_counted_apart(database: Database) -> None:
    plan(open_ledger(database))
    other = Ledger(database, "anomaly-detection", "records", InferencePlan)
    feedback = Ledger(database, "flight-delays", "feedback", InferencePlan)
    assert plan(other).number == 1
    assert plan(feedback).number == 1


def test_runs_that_plan_at_the_same_moment_get_one_batch(database: Database) -> None:
    """All of them have read the same progress before any of them writes."""
    runs = 6
    barrier = Barrier(runs)

    def slow_plan(progress: Mapping[str, Progress]) -> InferencePlan:
        barrier.wait(timeout=30)
        return next_ten_rows(progress)

    def run(_: int) -> LedgerEntry[InferencePlan] | None:
        return open_ledger(database).next_batch(slow_plan, revision=1, as_of=NOW)

    with ThreadPoolExecutor(runs) as threads:
        entries = list(threads.map(run, range(runs)))
    assert len({entry.number for entry in entries if entry}) == 1
    assert open_ledger(database).progress()["day.csv"].rows == 10


def test_times_come_back_in_utc_and_those_without_a_zone_are_refused(database: Database) -> None:
    assert plan(open_ledger(database)).as_of == NOW
    other = Ledger(database, "anomaly-detection", "records", InferencePlan)
    with pytest.raises(StatementError, match="without a zone"):
        other.next_batch(next_ten_rows, revision=1, as_of=NOW.replace(tzinfo=None))
