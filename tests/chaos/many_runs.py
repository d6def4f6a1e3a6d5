"""Several runs of the same flow, begun together, each in a process of its own; some of them are killed meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from flow_process import COMMITTED, Step, context, start
from killing import make_day, steps_of
from parcels import Parcels

_BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@dataclass(frozen=True)
class Crowd:
    """How many runs begin together, at each step of how many days; ``victims`` of them are killed each time."""

    runs: int
    days: int
    victims: int = 0
    longest_delay: float = 1.5
    seed: int = 5


@dataclass
class Crowded:
    """``contested`` batches were worked on by more than one run; ``kills`` runs died."""

    contested: int = 0
    kills: int = 0


def live_crowded(parcels: Parcels, crowd: Crowd, folder: Path) -> Crowded:
    """Run all steps of so many days, each by all runs at once. Nobody runs again what a killed one has left."""
    chance, seen = random.Random(crowd.seed), Crowded()
    for day in range(1, crowd.days + 1):
        make_day(parcels, day)
        for step in steps_of(day):
            _run_together(parcels, step, crowd, folder, chance, seen)
    return seen


def _run_together(
    parcels: Parcels, step: Step, crowd: Crowd, folder: Path, chance: random.Random, seen: Crowded
) -> None:
    before, together = _batches(parcels), context().Barrier(crowd.runs)
    processes = [start(parcels, step, folder / f"trace-{n}", together=together) for n in range(crowd.runs)]
    for process in processes:
        process.wait(messages=1)
    for process in processes[: crowd.victims]:
        seen.kills += process.kill(after=chance.uniform(0, crowd.longest_delay / crowd.victims))
    for process in processes[crowd.victims :]:
        assert not process.join()
    commits = sum(what == COMMITTED for process in processes for _, what in process.notes())
    seen.contested += max(0, commits - (_batches(parcels) - before))


def _batches(parcels: Parcels) -> int:
    newest = (parcels.context.records.latest(), parcels.context.feedback.latest())
    return sum(entry.number for entry in newest if entry)


@contextmanager
def counted_connections(uri: str) -> Iterator[list[int]]:
    """Look at how many connections PostgreSQL has, twenty times a second; give the numbers."""
    numbers, done = [0], threading.Event()

    def look() -> None:
        with psycopg.connect(uri, autocommit=True) as connection:
            while not done.wait(0.05):
                row = connection.execute(_BACKENDS).fetchone()
                numbers.append(row[0] if row else 0)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield numbers
    finally:
        done.set()
        watcher.join()
