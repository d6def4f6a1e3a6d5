"""Batches that were scored before their turn: by several processes at once, or beside the one that is being logged.

A draft is a guess, kept in memory or under all that the batch depends on: its number, its rows, the revision, the
model's version and the logical time. When its turn comes the batch is planned like any other, and the draft is the
batch if the guess was right: the same plan, the model's own answer to every row, and no id that has been logged since.
Otherwise the batch is scored as if there were none. So a draft is never wrong, and a run that is killed leaves at most
some files.
"""

from __future__ import annotations

import hashlib

from pydantic_core import to_json

from flywheel.context import PipelineContext
from flywheel.errors import InferenceError
from flywheel.inference.client import ModelClient
from flywheel.manifest.documents import SourceSpec
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.scoring.log import count_rows
from flywheel.scoring.logged import logged_ids
from flywheel.scoring.score import score_records
from flywheel.scoring.staging import ScoredBatch, from_bytes, read_staged, to_bytes
from flywheel.sources.base import Source

_FOLDER = "drafts"


def make_draft(
    context: PipelineContext, entry: LedgerEntry[InferencePlan], source: Source, spec: SourceSpec, client: ModelClient
) -> ScoredBatch | None:
    """Score a batch that will be planned; nothing is stored.

    There is no draft if the model did not answer every row: what becomes of such rows is decided in the batch's turn.
    """
    if entry.plan.serve_fallback:
        return None
    try:
        batch = score_records(context, entry, source, spec, client)
    except InferenceError:
        return None
    return batch if is_answered(batch) else None


def is_answered(batch: ScoredBatch) -> bool:
    """Whether the model answered every row that was asked."""
    counts = count_rows(batch)
    return not counts["fallback"] and not counts["dead_letters"]


def is_new(context: PipelineContext, draft: ScoredBatch) -> bool:
    """Whether none of its ids has been logged, as by batches that came before it but were drafted beside it."""
    return logged_ids(context.tables.predictions, draft.predictions, draft.number).is_empty()


def draft_batch(
    context: PipelineContext, entry: LedgerEntry[InferencePlan], source: Source, spec: SourceSpec, client: ModelClient
) -> bool:
    """Score a batch that will be planned, and store the draft; return whether there is one now."""
    if read_staged(context, entry.number) is not None:
        return False
    batch = make_draft(context, entry, source, spec, client)
    if batch is not None:
        context.storage.write(_uri(context, entry), to_bytes(batch))
    return batch is not None


def read_draft(context: PipelineContext, entry: LedgerEntry[InferencePlan]) -> ScoredBatch | None:
    """Return the draft of a planned batch whose turn it is; None: score it."""
    try:
        data = context.storage.read_bytes(_uri(context, entry))
    except FileNotFoundError:
        return None
    batch = from_bytes(data, entry.number)
    return batch if is_new(context, batch) else None


def delete_draft(context: PipelineContext, entry: LedgerEntry[InferencePlan]) -> None:
    """Remove the draft of a batch that is staged."""
    context.storage.delete(_uri(context, entry))


def _uri(context: PipelineContext, entry: LedgerEntry[InferencePlan]) -> str:
    bound_to = to_json([entry.revision, entry.as_of, entry.plan.model_dump(mode="json")])
    return context.folder(_FOLDER, f"{entry.number:010d}-{hashlib.sha256(bound_to).hexdigest()[:16]}.arrow")
