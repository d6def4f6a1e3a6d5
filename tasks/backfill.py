"""The steps of ``flows/backfill.py``, beside those of ``flows/infer.py``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from tasks.connect import connect
from tasks.score import Scoring, open_scoring
from tasks.step import step

if TYPE_CHECKING:
    from flywheel.context import PipelineContext
    from flywheel.metadata.ledger import InferencePlan, LedgerEntry
    from flywheel.scoring.foresee import Entries
    from flywheel.scoring.staging import ScoredBatch


def foresee_parts(context: PipelineContext, scoring: Scoring, as_of: datetime, most: int) -> Iterator[Entries]:
    """Yield the next batches before they are planned, ``most`` at most, several at a time."""
    from flywheel.scoring import foresee

    return foresee.foresee_parts(context, scoring.source, scoring.client, as_of, most)


@step("score ahead")
def draft_batches(entries: Entries, pipeline: str) -> int:
    """Score batches before their turn, where that can be done; return how many turns that is."""
    from flywheel.scoring import draft

    context = connect(pipeline)
    with open_scoring(context) as scoring:
        for entry in entries:
            pinned = context.at_revision(entry.revision)
            draft.draft_batch(pinned, entry, scoring.source, scoring.spec, scoring.client)
    return len(entries)


@step("take the draft")
def take_draft(context: PipelineContext, entry: LedgerEntry[InferencePlan]) -> ScoredBatch | None:
    """Fix a planned batch as it was drafted; None where its draft is not what was planned, or there is none."""
    from flywheel.scoring import draft, staging

    pinned = context.at_revision(entry.revision)
    drafted = draft.read_draft(pinned, entry)
    if drafted is None:
        return None
    staged = staging.stage(pinned, drafted)
    draft.delete_draft(pinned, entry)
    return staged
