"""The drift event is lost, or comes twice: one retrain, and all that it writes as if the event had come once."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from announcing import __file__ as announcing
from audit import Losses, audit
from hosted import Hosted
from outcome import Outcome
from parcels import MODEL, NAME, NOWHERE, Parcels, end_of, known_after
from plain import run, without_prefect
from state import State, assert_same, state_of

import flows.check_drift
import flows.infer
import flows.join_feedback
import flows.reconcile
import flows.retrain
import tasks.drift
import tasks.events
from flywheel.serving.server import ModelServer

Record = Callable[[Outcome], None]
ROWS = 200
# A check may wait for a dead server, but not for long; most of this is the process's start on a busy machine.
PATIENCE_SECONDS = 90.0
WHOLE = {"drift event lost": (5, 3), "drift event delivered twice": (15, 3)}
SLICE = {"drift event lost": (1, 1), "drift event delivered twice": (1, 2)}


@contextmanager
def flows_of(parcels: Parcels) -> Iterator[None]:
    """As ``without_prefect``, with reconcile too."""
    with without_prefect(parcels), pytest.MonkeyPatch.context() as patch:
        patch.setattr(flows.reconcile, "connect", lambda _name: parcels.context)
        patch.setattr(flows.reconcile, "find_unanswered", flows.reconcile.find_unanswered.fn)
        patch.setattr(flows.reconcile, "retrain", flows.retrain.retrain.fn)
        patch.setattr(flows.reconcile, "settle_lost_runs", lambda _since: [])
        yield


def reconcile() -> list[str]:
    return flows.reconcile.reconcile.fn(NAME, as_of=end_of(2)).answered


def retrain(check_id: str) -> Any:
    return flows.retrain.retrain.fn(NAME, check_id=check_id)


def check() -> str:
    return flows.check_drift.check_drift.fn(NAME, as_of=known_after(1)).check_id


def drifted(made: Parcels, folder: Path) -> Parcels:
    """The pipeline before a check that will ask for a retrain."""
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        before = made.copy(folder / "before", server.address)
        before.day(1, ROWS, shift=100)
        run(flows.infer.infer, before, end_of(1))
        run(flows.join_feedback.join_feedback, before, known_after(1))
    return before


def calm(before: Parcels, folder: Path) -> State:
    """What is there when the event came, and once."""
    alone = before.copy(folder / "calm", NOWHERE)
    with flows_of(alone):
        assert retrain(check()).outcome == "promoted"
    return state_of(alone)


def raises(parcels: Parcels, _folder: Path) -> float:
    """Emitting fails."""

    def fail(*_arguments: Any, **_more: Any) -> None:
        raise RuntimeError("no events today")

    with flows_of(parcels), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.drift, "emit", tasks.events.emit)
        patch.setattr(tasks.events, "emit_event", fail)
        check_id = check()
        return timed(lambda: reconcile() == [f"{check_id}: promoted"] and reconcile() == [])


def server_down(parcels: Parcels, folder: Path) -> float:
    """The server is dead when the event is emitted, and the process ends all the same."""
    file = folder / "parcels.pickle"
    file.write_bytes(pickle.dumps(parcels))
    dead = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    command = [sys.executable, announcing, str(file), known_after(1).isoformat()]
    done = subprocess.run(
        command, env={**os.environ, **dead}, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    with flows_of(parcels):
        return timed(lambda: reconcile() == [f"{done.stdout.strip()}: promoted"] and reconcile() == [])


def unprocessed(parcels: Parcels, _folder: Path) -> float:
    """Nobody listens."""
    with flows_of(parcels):
        check_id = check()
        return timed(lambda: reconcile() == [f"{check_id}: promoted"] and reconcile() == [])


def one_after_the_other(parcels: Parcels, _folder: Path) -> float:
    with flows_of(parcels):
        check_id = check()
        return timed(lambda: retrain(check_id) == retrain(check_id))


def at_once(parcels: Parcels, _folder: Path) -> float:
    with flows_of(parcels):
        check_id = check()
        return timed(lambda: len({str(done) for done in together(lambda: retrain(check_id))}) == 1)


def with_reconcile(parcels: Parcels, _folder: Path) -> float:
    with flows_of(parcels):
        check_id = check()
        return timed(lambda: together(lambda: retrain(check_id).outcome, reconcile)[0] == "promoted")


def timed(goes_well: Callable[[], bool]) -> float:
    start = time.monotonic()
    assert goes_well()
    return time.monotonic() - start


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Run two acts, begun together; a single one is run twice."""
    both = acts if len(acts) == 2 else (*acts, *acts)
    barrier = Barrier(2)

    def start(act: Callable[[], Any]) -> Any:
        barrier.wait()
        return act()

    with ThreadPoolExecutor(2) as pool:
        return [done.result() for done in [pool.submit(start, act) for act in both]]


FAULTS: dict[str, tuple[Callable[[Parcels, Path], float], ...]] = {
    "drift event lost": (raises, server_down, unprocessed),
    "drift event delivered twice": (at_once, with_reconcile, one_after_the_other),
}


def attack(made: Parcels, fault: str, stack: str, size: tuple[int, int], folder: Path) -> Outcome:
    """Let the first ways of a fault happen so many times each, each time to the same drifted pipeline."""
    rounds, ways = size
    before = drifted(made, folder)
    expected = calm(before, folder)
    losses: list[Losses] = []
    seconds: list[float] = []
    for number in range(rounds):
        for act in FAULTS[fault][:ways]:
            place = folder / f"{act.__name__}-{number}"
            place.mkdir()
            hit = before.copy(place / "w", NOWHERE)
            seconds.append(act(hit, place))
            found = state_of(hit)
            assert_same(found, expected)
            losses.append(audit(found, expected))
            assert [model.version for model in hit.versions()] == [1, 2]
            events = [entry.event for entry in hit.context.registry.history(MODEL) if entry.version == 2]
            assert events.count("registered") == events.count("promoted") == 1
    lost, twice = sum(each.lost for each in losses), sum(each.twice for each in losses)
    assert lost == twice == 0
    return Outcome(
        fault=fault,
        stack=stack,
        injected=len(seconds),
        rows_in=ROWS * len(seconds),
        lost=lost,
        twice=twice,
        recovery_seconds=max(seconds),
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_events_lost_and_twice_embedded(embedded: Parcels, fault: str, tmp_path: Path, record: Record) -> None:
    record(attack(embedded, fault, "embedded", SLICE[fault], tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("fault", FAULTS)
def test_events_lost_and_twice_many_times_embedded(
    embedded: Parcels, fault: str, tmp_path: Path, record: Record
) -> None:
    record(attack(embedded, fault, "embedded", WHOLE[fault], tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("fault", FAULTS)
def test_events_lost_and_twice_many_times_on_servers(
    hosted: Hosted, fault: str, tmp_path: Path, record: Record
) -> None:
    record(attack(hosted, fault, "servers", WHOLE[fault], tmp_path))
