"""Scores the next batch in a thread of its own while this one is logged: the model need not wait for the lake."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from flywheel.context import PipelineContext
from flywheel.inference.client import ModelClient
from flywheel.manifest.documents import SourceSpec
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.scoring.draft import is_answered, is_new, make_draft
from flywheel.scoring.foresee import foresee_after
from flywheel.scoring.plan import Foreseen
from flywheel.scoring.staging import ScoredBatch
from flywheel.sources.base import Source


@dataclass(frozen=True)
class Draft:
    """A batch as it was foreseen, and its rows; None where they have to be scored in the batch's turn."""

    foreseen: Foreseen
    batch: ScoredBatch | None


class Ahead:
    """One draft at a time, in memory, by a thread that shares the source and the client: wait for it before using them.

    ``close`` it in the end, or the process waits for its thread.
    """

    def __init__(
        self, context: PipelineContext, source: Source, spec: SourceSpec, client: ModelClient, as_of: datetime
    ) -> None:
        self._context, self._source, self._spec, self._client, self._as_of = context, source, spec, client, as_of
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="flywheel-ahead")
        self._coming: Iterator[Foreseen] = iter(())
        self._begun: Future[Draft | None] | None = None
        self._draft: Draft | None = None

    def close(self) -> None:
        """Wait for what was begun, and forget it."""
        self._thread.shutdown(cancel_futures=True)

    def begin(self, entry: LedgerEntry[InferencePlan], batch: ScoredBatch) -> None:
        """Begin with the batch after ``entry``, the newest one that is planned, if the model answered all of ``batch``.

        One that is down is asked in a batch's turn alone.
        """
        if not is_answered(batch):
            return
        if self._draft is None or self._draft.foreseen.entry != entry:
            self._coming = foresee_after(self._context, entry.number, self._source, self._client, self._as_of)
        self._begun = self._thread.submit(self._next, self._coming)

    def foreseen(self) -> Foreseen | None:
        """Wait for the batch that was begun, and return what is foreseen; None where nothing is."""
        begun, self._begun, self._draft = self._begun, None, None
        if begun is not None:
            # Whatever went wrong comes again, and is told, when the batch is planned and scored in its turn.
            with suppress(Exception):
                self._draft = begun.result()
        return self._draft.foreseen if self._draft is not None else None

    def draft_of(self, entry: LedgerEntry[InferencePlan]) -> ScoredBatch | None:
        """Return the rows of a planned batch, if it is the one that was foreseen and they still hold."""
        draft = self._draft
        if draft is None or draft.batch is None or draft.foreseen.entry != entry:
            return None
        return draft.batch if is_new(self._context, draft.batch) else None

    def _next(self, coming: Iterator[Foreseen]) -> Draft | None:
        foreseen = next(coming, None)
        if foreseen is None:
            return None
        return Draft(foreseen, make_draft(self._context, foreseen.entry, self._source, self._spec, self._client))
