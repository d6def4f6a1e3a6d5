"""What the next batches will be, before any of them is planned: what a run can score ahead of their turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice

from flywheel.context import PipelineContext
from flywheel.inference.client import ModelClient
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.scoring.plan import Foreseen, make_inference_plan
from flywheel.sources.base import Progress, Source

Entries = list[LedgerEntry[InferencePlan]]
# What a process scores in one go: a second's work or so, beside which a tenth for handing it over is little.
_PART_ROWS = 200_000


def foresee_parts(
    context: PipelineContext, source: Source, client: ModelClient, as_of: datetime, most: int
) -> Iterator[Entries]:
    """Yield the next ``most`` batches at most, several at a time."""
    part: Entries = []
    for entry in islice(foresee(context, source, client, as_of), most):
        part.append(entry)
        if sum(each.rows for entry in part for each in entry.plan.slices) >= _PART_ROWS:
            yield part
            part = []
    if part:
        yield part


def foresee(
    context: PipelineContext, source: Source, client: ModelClient, as_of: datetime
) -> Iterator[LedgerEntry[InferencePlan]]:
    """Yield the batches that runs at ``as_of`` will plan one after the other, the one left unfinished first.

    The ledger is read once and not written to. Should another run plan a batch, or a model be promoted meanwhile, what
    is planned in the end is something else, and nothing has come of it but work for nothing.
    """
    newest = context.records.latest()
    if newest is not None and not newest.committed:
        yield newest
    number = newest.number if newest is not None else 0
    yield from (foreseen.entry for foreseen in foresee_after(context, number, source, client, as_of))


def foresee_after(
    context: PipelineContext, number: int, source: Source, client: ModelClient, as_of: datetime
) -> Iterator[Foreseen]:
    """Yield the batches that come after batch ``number``, the newest one that is planned."""
    progress: Mapping[str, Progress] = context.records.progress()
    while (plan := make_inference_plan(context, source, client, as_of, progress)) is not None:
        number += 1
        yield Foreseen(LedgerEntry(context.name, number, context.revision, as_of, plan, committed=False), progress)
        progress = {**progress, **{each.part: Progress(rows=each.stop, mark=each.mark) for each in plan.slices}}
