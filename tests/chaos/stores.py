"""The loop while something is wrong with a store: its runs are started again and again, as a schedule would, and at the
end it must have what an undisturbed one has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import pytest
from audit import audit
from hosted import Hosted
from kafka_parcels import KafkaParcels
from outcome import Outcome
from parcels import Parcels, end_of, known_after
from plain import run
from state import State, assert_same, state_of
from undisturbed import Undisturbed

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.errors import FlywheelError
from flywheel.metadata.ledger import Ledger
from flywheel.serving.server import ModelServer

P = TypeVar("P", bound=Parcels)
Record = Callable[[Outcome], None]
Runs = tuple[tuple[Any, datetime], ...]
INFER: tuple[Any, datetime] = (infer, end_of(1))
JOIN: tuple[Any, datetime] = (join_feedback, known_after(1))
_PATIENCE = 900.0  # seconds until a loop that does not come to an end is a failure


@dataclass(frozen=True)
class Day(Generic[P]):
    """A pipeline with a day's work before it, the runs that do it, and what is there after them."""

    before: P
    flows: Runs
    rows: int
    after: State


def a_little(undisturbed: Undisturbed) -> Day[Hosted]:
    """The day that short tests share: records only."""
    return Day(undisturbed.before, (INFER,), 301, undisturbed.after)


@contextmanager
def a_day(pipeline: P, folder: Path, rows: int, batch_rows: int = 200, flows: Runs = (INFER, JOIN)) -> Iterator[Day[P]]:
    """A day of records and of feedback on them, inferred in batches of so many."""
    with ModelServer(pipeline.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        before = cast("P", pipeline.copy(folder / "before", server.address))
        before.revise(lambda document: document["spec"]["batch"].update(max_rows=batch_rows))
        before.day(1, rows)
        before.broken_records("01.ndjson", "not JSON")
        after = before.copy(folder / "after")
        for flow, as_of in flows:
            run(flow, after, as_of)
        yield Day(before, flows, len(flows) * rows + 1, state_of(after))


@dataclass
class Trouble:
    """Happens beside the runs; ``over`` asks it to end, ``calm_since`` is when it last did no harm any more."""

    over: threading.Event = field(default_factory=threading.Event)
    calm_since: float = 0.0
    commits: list[float] = field(default_factory=list)

    def goes_on(self, seconds: float) -> bool:
        """Wait so long, unless it shall end; return whether there shall be more."""
        return not self.over.wait(seconds)

    def calm(self) -> None:
        self.calm_since = time.monotonic()

    def recovery(self) -> float:
        """Seconds from the end of the last fault until a batch was committed, or, without one, until now."""
        after = (when for when in self.commits if when > self.calm_since)
        return next(after, time.monotonic()) - self.calm_since


@contextmanager
def beside(make: Callable[[Trouble], None]) -> Iterator[Trouble]:
    """Make trouble in a thread during the block."""
    trouble = Trouble()
    thread = threading.Thread(target=make, args=(trouble,))
    commit = Ledger.commit

    def commit_and_note(self: Ledger[Any], *arguments: Any) -> None:
        commit(self, *arguments)
        trouble.commits.append(time.monotonic())

    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ledger, "commit", commit_and_note)
            yield trouble
    finally:
        trouble.over.set()
        thread.join()


def once(parcels: Parcels, flow: Any, as_of: datetime) -> FlywheelError | None:
    """Run a flow, and return what ended it; only what a person can act on may."""
    try:
        run(flow, parcels, as_of)
    except FlywheelError as error:
        return error
    return None


def attempt(parcels: Parcels, flows: Runs) -> list[FlywheelError]:
    """Start one run after the other, up to the first that fails; return its error."""
    for flow, as_of in flows:
        if (error := once(parcels, flow, as_of)) is not None:
            return [error]
    return []


def until_done(parcels: Parcels, flows: Runs, allowed: type[FlywheelError] = FlywheelError) -> list[FlywheelError]:
    """Start each run again until it ends well, and return what ended it before; nothing but ``allowed`` may."""
    deadline = time.monotonic() + _PATIENCE
    failures: list[FlywheelError] = []
    for flow, as_of in flows:
        while (error := once(parcels, flow, as_of)) is not None:
            assert isinstance(error, allowed), repr(error)
            assert error.state, error
            assert error.next_step, error
            failures.append(error)
            assert time.monotonic() < deadline, failures
            time.sleep(0.05)
    return failures


def note(record: Record, day: Day[Any], found: Parcels, fault: str, injected: int, seconds: float) -> None:
    """Compare with the undisturbed day, and record the row of the table."""
    assert injected > 0
    state = state_of(found)
    losses = audit(state, day.after)
    stack = "servers" if isinstance(found, Hosted) else "Kafka" if isinstance(found, KafkaParcels) else "embedded"
    record(Outcome(fault, stack, injected, day.rows, losses.lost, losses.twice, max(0.0, seconds)))
    assert_same(state, day.after)
    assert losses.lost == losses.twice == 0
