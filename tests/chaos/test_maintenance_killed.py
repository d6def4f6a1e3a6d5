"""Maintenance killed between any two of its writes, and run again: what a run that nobody disturbs leaves."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from audit import audit
from crashing import Killed, Writes
from outcome import Outcome
from parcels import Parcels, end_of, known_after
from plain import run
from sqlalchemy import select
from state import state_of
from test_maintenance import Attack, served
from upkeep import counting

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.maintain import maintain
from flywheel.metadata.schema import Expiration

Record = Callable[[Outcome], None]
DAYS = 5
KINDS = {"commit", "expire", "put", "delete", "checkpoint"}


def worn(parcels: Parcels, folder: Path) -> Parcels:
    """A pipeline with all that maintenance is for: many files, files that were replaced long ago, rows that go."""
    found = parcels.copy(folder / "worn")
    found.revise(Attack("embedded", DAYS, 40, expires=True).edit)
    with served(found) as live:
        for day in range(1, DAYS + 1):
            live.day(day, 40)
            live.broken_records(f"{day:02d}.ndjson", "not JSON")
            run(infer, live, end_of(day))
            run(join_feedback, live, known_after(day))
            if day == DAYS - 1:
                run(maintain, live, known_after(1))
    long_ago = time.time() - 8 * 86_400
    for path in (found.root / ".flywheel" / "lake").rglob("*"):
        os.utime(path, (long_ago, long_ago))
    return found


def expirations(parcels: Parcels) -> list[tuple[str, str, int]]:
    with parcels.workspace.database().session() as session:
        return sorted((row.table_name, str(row.before), row.rows) for row in session.scalars(select(Expiration)))


def kill(parcels: Parcels, folder: Path, kills: int | None) -> Outcome:
    """Kill it at so many of its writes (None: at every one), one of each kind at least."""
    before, now = worn(parcels, folder), known_after(DAYS)
    calm = before.copy(folder / "calm")
    with counting(Writes()) as writes:
        run(maintain, calm, now)
    expected = state_of(calm)
    first = {what.split()[0]: number for number, what in reversed(list(enumerate(writes.seen, 1)))}
    assert set(first) == KINDS
    chosen = set(range(1, len(writes.seen) + 1))
    if kills is not None:
        chosen = {*first.values(), *random.Random(8).sample(sorted(chosen), kills - len(first))}
    rows = lost = twice = 0
    slowest = 0.0
    for number in sorted(chosen):
        copy = before.copy(folder / str(number))
        with counting(Writes(number)), pytest.raises(Killed):
            run(maintain, copy, now)
        begun = time.perf_counter()
        run(maintain, copy, now)
        slowest = max(slowest, time.perf_counter() - begun)
        losses = audit(state_of(copy), expected)
        rows, lost, twice = rows + losses.rows, lost + losses.lost, twice + losses.twice
        assert expirations(copy) == expirations(calm), writes.seen[number - 1]
        assert losses.lost == losses.twice == 0, writes.seen[number - 1]
    return Outcome("maintain killed between two writes", "embedded", len(chosen), rows, lost, twice, slowest)


@pytest.mark.slow
def test_killed_at_some_writes(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(kill(embedded, tmp_path, kills=7))


@pytest.mark.chaos
def test_killed_at_every_write(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(kill(embedded, tmp_path, kills=None))
