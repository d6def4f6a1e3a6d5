"""The loop with maintenance beside it: runs of ``maintain`` without a pause, and readers that look at every moment."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from crashing import Writes, watching
from deltalake import DeltaTable
from parcels import Parcels, end_of, in_order, known_after
from plain import without_prefect
from state import State

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.maintain import maintain
from flows.retrain import retrain
from flywheel.context import PipelineContext
from flywheel.lake.storage import Location
from flywheel.maintenance import expire, vacuum

GRACE = timedelta(seconds=4)
# What the tables of a pipeline that is looked at are named by: batches come in one after the other.
WATCHED = ("predictions", "feedback", "labels", "profiles")


@dataclass(frozen=True)
class Impatient:
    """A pipeline whose files go seconds after nobody needs them; a manifest asks for an hour at least."""

    parcels: Parcels
    grace: timedelta = GRACE

    @property
    def context(self) -> PipelineContext:
        found = self.parcels.context
        spec = found.pipeline.spec
        retention = spec.retention.model_copy(update={"grace": self.grace})
        changed = spec.model_copy(update={"retention": retention})
        return replace(found, pipeline=found.pipeline.model_copy(update={"spec": changed}))


def turn(days: int, retrain_after: int) -> None:
    """Turn the loop day by day, with a retrain (its export, its baseline) on the way."""
    for day in range(1, days + 1):
        infer.fn("parcels", as_of=end_of(day))
        join_feedback.fn("parcels", as_of=known_after(day))
        if day == retrain_after:  # 0: never
            assert retrain.fn("parcels", as_of=known_after(day)).outcome in ("promoted", "rejected")


@contextmanager
def counting(writes: Writes) -> Iterator[Writes]:
    """Tell ``writes`` about every write, those too that delta-rs does for maintenance."""
    delete, shorten = expire.delete_before, vacuum.shorten_log

    def counted_delete(table: DeltaTable, first: date) -> int:
        writes.about_to("expire")
        return delete(table, first)

    def counted_shorten(location: Location) -> None:
        writes.about_to("checkpoint")
        shorten(location)

    with watching(writes), pytest.MonkeyPatch.context() as patch:
        patch.setattr(expire, "delete_before", counted_delete)
        patch.setattr(vacuum, "shorten_log", counted_shorten)
        yield writes


@dataclass
class Upkeep:
    """Runs of ``maintain`` at ``as_of``, and readers that compare with ``expected``: how often, and what went wrong."""

    parcels: Parcels
    expected: State
    as_of: datetime
    runs: int = 0
    reads: int = 0
    did: Counter[str] = field(default_factory=Counter)
    errors: list[BaseException] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def maintain(self) -> None:
        self.did.update(maintain.fn("parcels", as_of=self.as_of).model_dump(exclude={"pipeline"}))
        self.runs += 1

    def read(self) -> None:
        for name in WATCHED:
            look(self.parcels, name, self.expected, pause=GRACE.total_seconds() / 2)
            self.reads += 1

    def again_and_again(self, work: Callable[[], None]) -> None:
        try:
            while not self.stop.wait(0.2):
                work()
        except BaseException as error:
            self.errors.append(error)


@contextmanager
def beside(parcels: Parcels, expected: State, as_of: datetime) -> Iterator[Upkeep]:
    """Run ``maintain``, two at a time, and check every table, again and again while the block runs; then once more."""
    upkeep = Upkeep(parcels, expected, as_of)
    works = (upkeep.maintain, upkeep.maintain, upkeep.read)
    threads = [threading.Thread(target=upkeep.again_and_again, args=(work,)) for work in works]
    with without_prefect(Impatient(parcels)):  # type: ignore[arg-type]
        for thread in threads:
            thread.start()
        try:
            yield upkeep
        finally:
            upkeep.stop.set()
            for thread in threads:
                thread.join()
        upkeep.maintain()


def look(parcels: Parcels, name: str, expected: State, pause: float) -> None:
    """Open a version of a table, wait, read it, and fail unless it is the table as it was after some batch."""
    table = getattr(parcels.context.tables, name)
    files = table.files()
    time.sleep(pause)
    found = in_order(table.read(files))
    if found.is_empty():
        return
    newest = found["batch_id"].max()
    wanted = in_order(expected.tables[name].filter(pl.col("batch_id") <= newest, pl.col("date") >= found["date"].min()))
    assert comparable(found).equals(comparable(wanted)), f"{name} up to batch {newest}"


def comparable(rows: pl.DataFrame) -> pl.DataFrame:
    """Without the time of the run, in an order that depends on the content only."""
    return in_order(rows.with_columns(row=pl.struct(pl.all()).struct.json_encode()).select("row"))
