"""What makes a pipeline unhealthy, and what does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete

from flywheel.metadata.database import Database
from flywheel.metadata.queries.health import pipeline_health
from flywheel.metadata.schema import Batch, Delivery, EndpointHealth, ModelVersion, Retraining


def _problems(database: Database, now: datetime | None = None) -> list[str]:
    return pipeline_health(database, "flight-delays", now or datetime.now(UTC)).problems


def test_a_loop_that_turns_is_healthy(run: Any, filled: Database) -> None:
    assert _problems(filled) == []
    found = run("health", "--json").json()
    assert found["healthy"] is True
    (pipeline,) = found["pipelines"]
    assert (pipeline["last_batch"], pipeline["champion"], pipeline["backlog"]) == (3, 2, 0)
    assert 3500 < pipeline["last_batch_age_seconds"] < 3700
    assert pipeline["quarantine_share"] == 0.01


def test_an_open_circuit_is_told_with_its_error_and_exit_code_1(run: Any, filled: Database) -> None:
    with filled.session() as session:
        row = session.get_one(EndpointHealth, ("127.0.0.1:50051", "late-arrival"))
        row.state, row.last_error = "open", "connection refused [101]"
    assert _problems(filled) == ["the circuit to 127.0.0.1:50051 is open: connection refused [101]"]
    for arguments in (("health",), ("health", "pipeline", "flight-delays")):
        answer = run(*arguments)
        assert answer.code == 1
        assert "connection refused [101]" in answer.out
        assert run(*arguments, "--json").code == 1


def test_undelivered_batches_are_counted_by_sink(filled: Database) -> None:
    with filled.session() as session:
        session.execute(delete(Delivery).where(Delivery.sink == "late-alerts", Delivery.number > 1))
    assert _problems(filled) == ["sink late-alerts has yet to get 2 batches"]


def test_a_planned_batch_is_backlog_and_after_an_hour_a_problem(filled: Database) -> None:
    with filled.session() as session:
        session.add(
            Batch(
                pipeline="flight-delays", feed="records", number=4, status="planned", revision=1, counts={},
                as_of=datetime.now(UTC), plan={}, planned_at=datetime.now(UTC), committed_at=None,
            )
        )  # fmt: skip
    assert pipeline_health(filled, "flight-delays", datetime.now(UTC)).backlog == 1
    assert _problems(filled) == []
    (problem,) = _problems(filled, datetime.now(UTC) + timedelta(hours=2))
    assert "is not committed" in problem


def test_much_quarantine_is_a_problem(filled: Database) -> None:
    with filled.session() as session:
        row = session.get_one(Batch, ("flight-delays", "records", 3))
        row.counts = {"records": 1000, "ok": 700, "fallback": 0, "quarantined": 300}
    assert _problems(filled) == ["10.7% of the last batches' records were quarantined"]


def test_no_champion_is_a_problem_that_says_what_to_type(filled: Database) -> None:
    with filled.session() as session:
        session.get_one(ModelVersion, ("late-arrival", 2)).status = "archived"
    assert _problems(filled) == ["model late-arrival has no champion: flywheel run retrain -p flight-delays"]


def test_drift_is_a_problem_until_its_retrain_is_done(filled: Database) -> None:
    with filled.session() as session:
        session.get_one(Retraining, ("flight-delays", "2013-03")).status = "running"
        session.get_one(Retraining, ("flight-delays", "2013-03")).outcome = None
    (problem,) = _problems(filled)
    assert problem.startswith("drift (high) asked for a retrain that is not done")


def test_many_fallbacks_are_a_problem_until_they_are_scored_again(run: Any, filled: Database) -> None:
    with filled.session() as session:
        row = session.get_one(Batch, ("flight-delays", "records", 3))
        row.counts = {"records": 1000, "ok": 600, "fallback": 300, "quarantined": 100, "dead_letters": 100}
    told = "16.0% of the last batches' records have no prediction of the model: flywheel run rescore -p flight-delays"
    assert _problems(filled) == [told]
    shown = run("health", "pipeline", "flight-delays").out
    assert "16.00% of the last batches' records" in shown
    assert "480 rows for rescore" in shown
    shown = run("stats", "predictions").out
    assert "dead letters among the quarantined: 100" in shown
    assert "next: flywheel run rescore -p flight-delays" in shown
    with filled.session() as session:
        row = session.get_one(Batch, ("flight-delays", "records", 3))
        row.counts = {**row.counts, "rescored": 390, "unscorable": 10}
    assert pipeline_health(filled, "flight-delays", datetime.now(UTC)).waiting_rows == 80
    assert _problems(filled) == []
    assert run("stats", "predictions", "--json").json()[0]["rescored"] == 390
