"""Kills the runs of a pipeline, one after the other, until enough of them have died; day after day of records."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flow_process import COMMITTED, FlowProcess, Point, Step, start
from parcels import Document, Parcels, end_of, known_after
from plain import run

from flows.infer import infer
from flows.join_feedback import join_feedback

ROWS_A_DAY, BATCH_ROWS = 40, 5
_BROKEN_EVENT = '{"event": "delivered", "timestamp": "2024-03-01T12:00:00Z"}\n'
_LONGEST_DISTANCE = 16  # writes, of which a batch takes ten or so


@dataclass(frozen=True)
class Dose:
    """How many runs to kill at fault points between writes, and how many at a random time; each of these comes
    within ``longest_delay`` seconds of a run's begin or of its first write. At least so many batches are written."""

    points: int
    signals: int
    batches: int
    longest_delay: float
    seed: int = 7


@dataclass
class Killed:
    """What the killed runs came to."""

    dose: Dose
    points: int = 0
    signals: int = 0
    finished: int = 0
    days: int = 0
    recovery_seconds: float = 0.0
    last_writes: Counter[str] = field(default_factory=Counter)
    writes_begun: Counter[int] = field(default_factory=Counter)
    _died: float | None = None

    @property
    def kills(self) -> int:
        return self.points + self.signals

    @property
    def enough(self) -> bool:
        return self.points >= self.dose.points and self.signals >= self.dose.signals

    def see(self, process: FlowProcess, died: float | None) -> None:
        """Note a run, and when it was killed, if it was; what follows a kill must commit a batch, or end."""
        notes = process.notes()
        committed = [when for when, what in notes if what == COMMITTED]
        worked_again = committed[0] if committed else time.monotonic() if died is None else None
        if self._died is not None and worked_again is not None:
            self.recovery_seconds = max(self.recovery_seconds, worked_again - self._died)
            self._died = None
        self._died = died if died is not None else self._died
        self.finished += died is None

    def see_signal(self, process: FlowProcess) -> None:
        """Note how far a run had come when the signal came."""
        begun = [what for _, what in process.notes()]
        self.last_writes[re.sub(r"\d+", "N", begun[-1]) if begun else "nothing yet"] += 1
        self.writes_begun[len(begun)] += 1

    def __str__(self) -> str:
        return (
            f"{self.points} killed at fault points, {self.signals} by signals at any time; "
            f"{self.finished} runs finished, {self.days} days, longest recovery {self.recovery_seconds:.2f} s"
        )


def small_batches(manifest: Document) -> None:
    manifest["spec"]["batch"] = {"max_rows": BATCH_ROWS}


def make_day(parcels: Parcels, day: int) -> int:
    """Write a day of records and feedback, some of it unusable; return how many records and events."""
    parcels.day(day, ROWS_A_DAY)
    parcels.broken_records(f"{day:02d}.ndjson", "not JSON")
    with (parcels.root / "data" / "deliveries" / f"{day:02d}.ndjson").open("a") as events:
        events.write(_BROKEN_EVENT)
    return 2 * (ROWS_A_DAY + 1)


def steps_of(day: int) -> Iterator[Step]:
    yield Step("infer", end_of(day))
    yield Step("join-feedback", known_after(day))


def live_undisturbed(parcels: Parcels, days: int) -> int:
    """Run all steps of so many days with nothing in their way; return how many records and events there were."""
    rows = 0
    for day in range(1, days + 1):
        rows += make_day(parcels, day)
        run(infer, parcels, end_of(day))
        run(join_feedback, parcels, known_after(day))
    return rows


def live_killed(parcels: Parcels, dose: Dose, folder: Path, say: Callable[[str], None] = print) -> Killed:
    """Run the steps day after day, each again and again until it is not killed, until enough runs were killed."""
    chance, seen = random.Random(dose.seed), Killed(dose)
    while not seen.enough or newest_batch(parcels) < dose.batches:
        seen.days += 1
        make_day(parcels, seen.days)
        for step in steps_of(seen.days):
            while _is_killed(parcels, step, chance, seen, folder / "trace"):
                if seen.kills % 50 == 0:
                    say(f"{newest_batch(parcels)} batches; {seen}")
    return seen


def newest_batch(parcels: Parcels) -> int:
    """The number of the newest batch of records."""
    newest = parcels.context.records.latest()
    return newest.number if newest else 0


def _is_killed(parcels: Parcels, step: Step, chance: random.Random, seen: Killed, trace: Path) -> bool:
    points, signals = seen.dose.points - seen.points, seen.dose.signals - seen.signals
    if seen.enough:
        seen.see(process := start(parcels, step, trace), None)
        return process.join()
    if chance.random() < points / (points + signals):
        return _die_at_a_point(parcels, step, chance, seen, trace)
    return _die_by_a_signal(parcels, step, chance, seen, trace)


def _die_at_a_point(parcels: Parcels, step: Step, chance: random.Random, seen: Killed, trace: Path) -> bool:
    point = Point(chance.randint(1, _LONGEST_DISTANCE), torn=chance.random() < 0.3)
    process = start(parcels, step, trace, point)
    died = process.join()
    seen.points += died
    seen.see(process, time.monotonic() if died else None)
    return died


def _die_by_a_signal(parcels: Parcels, step: Step, chance: random.Random, seen: Killed, trace: Path) -> bool:
    process = start(parcels, step, trace)
    process.wait(messages=chance.choice((1, 2, 2, 2)))
    died = process.kill(after=chance.uniform(0, seen.dose.longest_delay))
    if died:
        seen.signals += 1
        seen.see_signal(process)
    seen.see(process, time.monotonic() if died else None)
    return died
