"""Delivers committed batches to the sinks, at least once; the batch number is the key a receiver can tell repeats
by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError

from flywheel.context import PipelineContext
from flywheel.manifest.pipeline import SinkRef
from flywheel.metadata.schema import Delivery
from flywheel.scoring.staging import ScoredBatch, read_staged, staged_numbers, unstage
from flywheel.sinks.base import SinkBatch
from flywheel.sinks.open import open_sink
from flywheel.sinks.select import select_rows


@dataclass(frozen=True)
class SinkFailure:
    """A sink that did not take a batch; it and those after it stay in the outbox until a later run delivers them."""

    sink: str
    number: int
    error: str


def deliver_batches(context: PipelineContext) -> list[SinkFailure]:
    """Deliver every committed batch to each sink that has not got it; return the sinks that failed.

    A sink gets batches in their order, since a table tells from the newest one that it has which ones it need not take
    again. So a sink that failed gets no later batch before the next run; the other sinks do.
    """
    failures: dict[str, SinkFailure] = {}
    for number in _undelivered(context):
        batch = read_staged(context, number)
        if batch is None:
            continue
        for ref in context.pipeline.spec.sinks:
            if ref.name not in failures and (failure := _deliver(context, ref, batch)):
                failures[ref.name] = failure
        if not failures:
            unstage(context, number)
    return list(failures.values())


def _undelivered(context: PipelineContext) -> list[int]:
    """The committed batches that some sink has yet to get, oldest first.

    The ledger is asked before the folder: whatever it says is committed is in a listing that begins later, so no batch
    is listed without those before it, however many another run commits meanwhile.
    """
    newest = context.records.latest()
    if newest is None:
        return []
    committed = newest.number if newest.committed else newest.number - 1
    return [number for number in staged_numbers(context) if number <= committed]


def _deliver(context: PipelineContext, ref: SinkRef, batch: ScoredBatch) -> SinkFailure | None:
    if _has(context, ref.name, batch.number):
        return None
    try:
        sink = open_sink(ref.name, context.connections.sink(ref.name), context.storage)
        rows = select_rows(batch.predictions, ref, batch.predictions.schema)
        sent = sink.deliver(SinkBatch(pipeline=context.name, number=batch.number, rows=rows))
    except Exception as error:  # whatever a sink raises, the other sinks and the other batches go on
        return SinkFailure(ref.name, batch.number, str(error))
    _mark(context, ref.name, batch.number, sent)
    return None


def _has(context: PipelineContext, sink: str, number: int) -> bool:
    with context.database.session() as session:
        return session.get(Delivery, (context.name, number, sink)) is not None


def _mark(context: PipelineContext, sink: str, number: int, rows: int) -> None:
    row = Delivery(pipeline=context.name, number=number, sink=sink, rows=rows, delivered_at=datetime.now(UTC))
    try:
        with context.database.session() as session:
            session.add(row)
    except IntegrityError:  # another run, at the same time, delivered it too
        return
