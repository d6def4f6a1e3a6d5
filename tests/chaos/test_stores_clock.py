"""A wall clock that goes back an hour, between runs and within them; and a time zone that changes."""

from __future__ import annotations

import ast
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from audit import Losses, audit
from outcome import Outcome
from parcels import Parcels, drift_of, end_of, feedback_on, known_after, made_parcels
from plain import run, without_prefect
from state import State, tables_of
from stores import Day, Record, a_day, note
from wrong_clock import ROOT, WrongClock, modules_with_a_clock, set_by

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.context import PipelineContext
from flywheel.inference.breaker import CircuitBreaker
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig
from flywheel.metadata.queries.health import pipeline_health
from flywheel.serving.server import ModelServer

# Told by the clock, and by how rows fell into batches.
_BY_THE_CLOCK = ("batch_id", "predicted_at", "first_event", "last_event")


@pytest.fixture(scope="module")
def day(embedded: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day[Parcels]]:
    with a_day(embedded, tmp_path_factory.mktemp("clock-day"), 200, 60) as made:
        yield made


def loop(parcels: Parcels) -> None:
    """The scheduled runs, which take the time from the clock."""
    with without_prefect(parcels):
        for flow in (infer, join_feedback, check_drift):
            flow.fn("parcels")


def live_through(day: Day[Parcels], folder: Path, record: Record, steps: int) -> None:
    """From half a day on the loop runs every twenty minutes; again and again the clock goes back, mostly in a run."""
    chance = random.Random(17)
    copy = day.before.copy(folder / "w")
    clock = WrongClock(end_of(1) - timedelta(hours=steps / 4))
    with set_by(clock):
        for _ in range(steps):
            clock.now += timedelta(minutes=20)
            if chance.random() < 0.5:
                clock.jump_again_at(chance.randint(1, 14))
            loop(copy)
        clock.jump_at = None
        clock.now = known_after(1)
        started = time.monotonic()
        loop(copy)
        seconds = time.monotonic() - started
    losses = compare(copy, day.after)
    record(
        Outcome("the clock goes back an hour", "embedded", clock.jumps, day.rows, losses.lost, losses.twice, seconds)
    )
    assert clock.jumps > 0
    assert (losses.lost, losses.twice) == (0, 0)


def compare(found: Parcels, expected: State) -> Losses:
    return audit(State(_timeless(tables_of(found)), {}, {}), State(_timeless(expected.tables), {}, {}))


def _timeless(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    kept = {name: rows.drop(_BY_THE_CLOCK, strict=False) for name, rows in tables.items()}
    profiles = kept["profiles"].group_by("baseline_id", "feature", "bin").agg(pl.col("count").sum())
    return {**kept, "profiles": profiles.filter(pl.col("count") > 0)}


def test_a_clock_that_goes_back(day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    live_through(day, tmp_path, record, 8)


@pytest.mark.chaos
def test_a_clock_that_goes_back_for_long(day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    live_through(day, tmp_path, record, 200)


def test_no_module_reads_the_clock_in_another_way() -> None:
    """So that the tests above have set them all."""
    for package in ("flywheel", "flows", "tasks", "blocks"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    asked = f"{node.value.id}.{node.attr}"
                    assert asked not in ("time.time", "datetime.utcnow", "datetime.today", "date.today"), file
    assert "flywheel.metadata.ledger" in modules_with_a_clock()


def test_one_drift_is_acted_upon_once_whatever_the_clock_says(embedded: Parcels, tmp_path: Path) -> None:
    """The check after the jump has another window than the one before it, and the same cooldown."""
    with ModelServer(embedded.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        copy = embedded.copy(tmp_path / "w", server.address)
        copy.revise(lambda document: drift_of(document).update(cooldown="1d"))
        copy.day(1, 300, shift=100.0)
        run(infer, copy, end_of(0.9))
        run(infer, copy, end_of(1))
        checks = [run(check_drift, copy, end_of(time)) for time in (1.0, 0.96, 1.01)]
    assert [check.action for check in checks] == ["retrain", "none", "retrain"]
    assert checks[2].check_id == checks[0].check_id
    assert checks[1].check_id != checks[0].check_id


def test_an_event_is_given_up_once_whatever_the_clock_says(embedded: Parcels, tmp_path: Path) -> None:
    """An event without a prediction is an orphan after 48 hours, and counted as one when that is first so."""
    copy = embedded.copy(tmp_path / "w")
    received = end_of(0) + timedelta(hours=14)
    copy.events("lonely.ndjson", feedback_on(made_parcels(70, end_of(0), 1)))
    orphans = []
    for number, hours in enumerate((49, 47.5, 49.5)):
        when = received + timedelta(hours=hours)
        # Something new, so that there is a join.
        copy.events(f"{number}.ndjson", feedback_on(made_parcels(71 + number, when - timedelta(hours=20), 1)))
        orphans.append(run(join_feedback, copy, when).orphans)
    assert orphans == [1, 0, 0]


def test_a_breaker_and_the_health_of_a_pipeline(day: Day[Parcels], tmp_path: Path) -> None:
    """An open circuit is not open an hour longer; what was committed in the future is no trouble."""
    copy = day.before.copy(tmp_path / "w")
    clock = WrongClock(known_after(1))
    with set_by(clock):
        loop(copy)
        breaker = _breaker(copy.context)
        for _ in range(3):
            breaker.failure("it does not answer")
        assert not breaker.allow()
        clock.now -= timedelta(hours=1)
        assert _breaker(copy.context).allow()
        health = pipeline_health(copy.workspace.database(), "parcels", clock.read())
    assert not [problem for problem in health.problems if "commit" in problem]


def _breaker(context: PipelineContext) -> CircuitBreaker:
    config = BreakerConfig(failure_threshold=3, reset_timeout_seconds=30)
    return CircuitBreaker(context.database, "server:1", "late-parcel", config)


@dataclass(frozen=True)
class _Zone:
    """A run in a process whose time zone is another one."""

    name: str
    parcels: Parcels
    flow: str

    def __call__(self) -> None:
        assert os.environ["TZ"] == self.name
        time.tzset()
        flow, as_of = {"infer": (infer, end_of(1)), "join": (join_feedback, known_after(1))}[self.flow]
        run(flow, self.parcels, as_of, max_batches=1)


def change_zones(day: Day[Parcels], folder: Path, record: Record, zones: list[str]) -> None:
    """Each batch is inferred and joined in another time zone."""
    copy = day.before.copy(folder / "w")
    started = time.monotonic()
    for number, zone in enumerate(zones):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", zone)
            flow = "infer" if number < len(zones) - 1 else "join"
            process = multiprocessing.get_context("spawn").Process(target=_Zone(zone, copy, flow))
            process.start()
            process.join(100)
            assert process.exitcode == 0
    note(record, day, copy, "the time zone changes", len(zones), time.monotonic() - started)


@pytest.mark.chaos
def test_time_zones(day: Day[Parcels], tmp_path: Path, record: Record) -> None:
    zones = ["America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Marquesas", "Europe/Berlin"]
    change_zones(day, tmp_path, record, zones)
