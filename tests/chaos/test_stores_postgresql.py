"""PostgreSQL that restarts, crashes, cuts connections, loses the answer to a COMMIT, is not there, or has no room."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hosted import Hosted
from proxy import Faults, proxy
from small_disk import small_disk
from sqlalchemy import make_url
from stores import Day, Record, Trouble, a_day, a_little, attempt, beside, note, once, until_done
from undisturbed import Undisturbed

from flywheel.errors import DatabaseDownError, DiskFullError
from flywheel.metadata.database import Database

Blow = Callable[[Hosted], int]


@pytest.fixture(scope="module")
def long_day(hosted: Hosted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day[Hosted]]:
    with a_day(hosted, tmp_path_factory.mktemp("pg-day"), 2_000, 40) as day:
        yield day


def fast_restart(hosted: Hosted) -> int:
    hosted.postgresql.restart("fast")
    return 1


def loss_of_power(hosted: Hosted) -> int:
    hosted.postgresql.restart("immediate")
    return 1


def kill_9(hosted: Hosted) -> int:
    """One of its processes dies; all connections end, and it recovers."""
    return hosted.postgresql.kill_one(hosted.database_url)


def cut_connections(hosted: Hosted) -> int:
    return hosted.postgresql.disconnect(hosted.database_url)


@dataclass
class Blows:
    """Hit the server ``times`` times, at random moments; ``landed`` counts those that met somebody."""

    hosted: Hosted
    kinds: Sequence[Blow]
    times: int
    pause: float
    landed: int = 0

    def __call__(self, trouble: Trouble) -> None:
        moments = random.Random(11)
        for _, blow in zip(range(self.times), itertools.cycle(self.kinds), strict=False):
            if not trouble.goes_on(moments.uniform(0, self.pause)):
                break
            self.landed += blow(self.hosted)
            trouble.calm()


def survive(day: Day[Hosted], folder: Path, record: Record, fault: str, blows: Blows) -> None:
    copy = day.before.copy(folder / "w")
    blows.hosted = copy
    with beside(blows) as trouble:
        until_done(copy, day.flows, DatabaseDownError)
        seconds = trouble.recovery()
    note(record, day, copy, fault, blows.landed, seconds)


RESTARTS = (fast_restart, loss_of_power, kill_9)


def test_restarts(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    blows = Blows(undisturbed.before, RESTARTS, 3, 0.3)
    survive(a_little(undisturbed), tmp_path, record, "PostgreSQL restarts", blows)


@pytest.mark.chaos
def test_restarts_for_long(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    survive(long_day, tmp_path, record, "PostgreSQL restarts", Blows(long_day.before, RESTARTS, 45, 0.6))


def test_connections_cut(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    blows = Blows(undisturbed.before, (cut_connections,), 40, 0.08)
    survive(a_little(undisturbed), tmp_path, record, "PostgreSQL cuts connections", blows)


@pytest.mark.chaos
def test_connections_cut_for_long(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    blows = Blows(long_day.before, (cut_connections,), 1_000, 0.03)
    survive(long_day, tmp_path, record, "PostgreSQL cuts connections", blows)


def lose_commits(day: Day[Hosted], folder: Path, record: Record, pause: float) -> None:
    """The ambiguous COMMIT: PostgreSQL has done it, and the connection ends before it says so."""
    copy = day.before.copy(folder / "w")

    def attack(trouble: Trouble, faults: Faults) -> None:
        faults.lose = ("COMMIT",)
        while trouble.goes_on(pause):
            faults.again()
            trouble.calm()

    with proxy(copy.postgresql.socket) as (port, faults):
        behind = replace(copy, database_url=_behind(copy.database_url, port))
        with beside(lambda trouble: attack(trouble, faults)):
            failures = until_done(behind, day.flows, DatabaseDownError)
    # What is lost of a batch that is scored ahead fails no run.
    assert len(failures) <= faults.happened["lost"]
    note(record, day, copy, "PostgreSQL loses the answer to a COMMIT", faults.happened["lost"], 0.0)


def test_the_answer_to_a_commit_is_lost(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    lose_commits(a_little(undisturbed), tmp_path, record, 0.4)


@pytest.mark.chaos
def test_the_answers_to_many_commits_are_lost(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    lose_commits(long_day, tmp_path, record, 0.5)


def test_not_there_when_the_run_begins(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    """It is told at once; nothing is waited for that may never come."""
    day = a_little(undisturbed)
    copy = day.before.copy(tmp_path / "w")
    with proxy(copy.postgresql.socket) as (port, faults):
        behind = replace(copy, database_url=_behind(copy.database_url, port, password="planted-word"))
        faults.refuse = True
        started = time.monotonic()
        for _ in range(3):
            error = once(behind, *day.flows[0])
            assert isinstance(error, DatabaseDownError)
            assert "planted-word" not in str(error) + repr(error)
            assert "next scheduled run" in error.next_step
        assert time.monotonic() - started < 6
        faults.refuse = False
        started = time.monotonic()
        until_done(behind, day.flows)
        seconds = time.monotonic() - started
    note(record, day, copy, "PostgreSQL is not there", faults.happened["refused"], seconds)


def fill_the_disk(day: Day[Hosted], folder: Path, record: Record, times: int) -> None:
    """Its tables have no room to grow, at some moment of a run; each time there is room again the next run goes on."""
    copy = day.before.copy(folder / "w")
    with small_disk(folder / "disk", 48) as disk, copy.postgresql.on_disk(disk.folder, copy.database_url) as url:
        moved = replace(copy, database_url=url)
        full = []
        for turn in range(times):
            with beside(lambda trouble, turn=turn: disk.fill() if trouble.goes_on(0.15 * turn) else None):
                full += attempt(moved, day.flows)
            disk.free()
        assert full
        for error in full:
            assert isinstance(error, DiskFullError), repr(error)
            assert "free space" in error.next_step
        started = time.monotonic()
        until_done(moved, day.flows)
        seconds = time.monotonic() - started
        note(record, day, moved, "PostgreSQL's disk is full", len(full), seconds)
        Database(url).engine.dispose()


def test_a_full_disk(undisturbed: Undisturbed, tmp_path: Path, record: Record) -> None:
    fill_the_disk(a_little(undisturbed), tmp_path, record, 1)


@pytest.mark.chaos
def test_a_full_disk_again_and_again(long_day: Day[Hosted], tmp_path: Path, record: Record) -> None:
    fill_the_disk(long_day, tmp_path, record, 25)


def _behind(url: str, port: int, password: str = "unused") -> str:
    found = make_url(url).set(host="127.0.0.1", port=port, password=password, query={})
    return found.render_as_string(hide_password=False)
