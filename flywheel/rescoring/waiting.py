"""Which batches have rows that the model gave no prediction for: by the ledger's counts, without a look at the lake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from sqlalchemy import select

from flywheel.context import PipelineContext
from flywheel.metadata.ledger import InferencePlan
from flywheel.metadata.queries.fallbacks import fallback_rows, waiting_rows
from flywheel.metadata.schema import Batch


@dataclass(frozen=True)
class Pin:
    """What a batch is bound to: the manifest's revision and the model's version (None: its server chooses)."""

    revision: int
    model_id: str
    model_version: int | None


@dataclass(frozen=True)
class WaitingBatch:
    """A committed batch: ``fallbacks`` of its rows got no prediction of the model, ``waiting`` of them still wait."""

    number: int
    fallbacks: int
    waiting: int


@dataclass(frozen=True)
class WaitingBatches:
    """Batches that are pinned to the same, which are scored again in one go."""

    pin: Pin
    batches: tuple[WaitingBatch, ...]

    @property
    def numbers(self) -> list[int]:
        return [batch.number for batch in self.batches]

    @property
    def rows(self) -> int:
        """Rows that wait, by the ledger."""
        return sum(batch.waiting for batch in self.batches)


def find_waiting(context: PipelineContext, as_of: datetime) -> list[WaitingBatches]:
    """Return the batches made by ``as_of`` that have rows to score again, oldest first.

    Together they have no more rows than one batch may have, unless they are one batch.
    """
    wanted = (
        select(Batch.revision, Batch.plan, Batch.number, fallback_rows(), waiting_rows())
        .where(Batch.pipeline == context.name, Batch.feed == "records", Batch.status == "committed")
        .where(Batch.as_of <= as_of, waiting_rows() > 0)
        .order_by(Batch.number)
    )
    with context.database.session() as session:
        found = session.execute(wanted).tuples().all()
    pinned = [(_pin(revision, plan), WaitingBatch(*counts)) for revision, plan, *counts in found]
    most = context.pipeline.spec.batch.max_rows
    return [
        WaitingBatches(pin, part)
        for pin, group in groupby(pinned, key=itemgetter(0))
        for part in _parts((batch for _, batch in group), most)
    ]


def _pin(revision: int, plan: object) -> Pin:
    found = InferencePlan.model_validate(plan)
    return Pin(revision, found.model_id, found.model_version)


def _parts(batches: Iterable[WaitingBatch], most: int) -> list[tuple[WaitingBatch, ...]]:
    parts: list[tuple[WaitingBatch, ...]] = []
    for batch in batches:
        if parts and sum(each.waiting for each in parts[-1]) + batch.waiting <= most:
            parts[-1] = (*parts[-1], batch)
        else:
            parts.append((batch,))
    return parts
