"""Old rows that the model can't answer do not keep new ones from being asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from flywheel.inference.breaker import CircuitBreaker
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig
from flywheel.metadata.database import Database
from flywheel.rescoring.gate import Bystander


def breaker_in(folder: Path, seconds: float) -> CircuitBreaker:
    database = Database(f"sqlite:///{folder}/metadata.db")
    database.create()
    config = BreakerConfig(failure_threshold=3, reset_timeout_seconds=seconds)
    return CircuitBreaker(database, "a:1", "flights", config, lambda: datetime.now(UTC), fresh_seconds=0)


def test_it_gives_up_by_itself_and_leaves_the_circuit_closed(tmp_path: Path) -> None:
    gate = Bystander(breaker_in(tmp_path, 3600))
    for _ in range(2):
        assert gate.allow()
        gate.failure("INTERNAL")
    gate.success()
    for _ in range(3):
        assert gate.allow()
        gate.failure("INTERNAL")
    assert not gate.allow()
    assert gate.refusal() == "not sent: 3 requests in a row have failed"
    assert gate.breaker.health().state == "closed"


def test_it_heeds_an_open_circuit_and_probes_it_when_it_is_time(tmp_path: Path) -> None:
    breaker = breaker_in(tmp_path, 3600)
    for _ in range(3):
        breaker.failure("UNAVAILABLE")
    assert not Bystander(breaker).allow()
    soon = CircuitBreaker(
        breaker.database,
        "a:1",
        "flights",
        BreakerConfig(failure_threshold=3, reset_timeout_seconds=0.001),
        fresh_seconds=0,
    )
    assert Bystander(soon).allow()
    Bystander(soon).failure("UNAVAILABLE")
    assert breaker.health().state == "open"
    gate = Bystander(soon)
    assert gate.allow()
    gate.success()
    assert breaker.health().state == "closed"
