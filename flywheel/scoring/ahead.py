"""Scores the next batches in threads of their own while this one is logged: the model need not wait for the lake."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from flywheel.context import PipelineContext
from flywheel.inference.client import ModelClient
from flywheel.manifest.documents import SourceSpec
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.scoring.draft import is_answered, is_new, make_draft
from flywheel.scoring.foresee import foresee_after
from flywheel.scoring.plan import Foreseen
from flywheel.scoring.staging import ScoredBatch
from flywheel.sources.base import Source

# While the model has one batch, the next is read and checked. Requests in flight are limited by the client.
_MOST = 2


@dataclass(frozen=True)
class Draft:
    """A batch as it was foreseen, and its rows; None where they have to be scored in the batch's turn."""

    foreseen: Foreseen
    batch: ScoredBatch | None


class Ahead:
    """Some drafts, in memory, of the batches that come next, in their order.

    ``source`` and ``client`` are used by several threads at once. ``close`` it in the end, or the process waits.
    """

    def __init__(
        self, context: PipelineContext, source: Source, spec: SourceSpec, client: ModelClient, as_of: datetime
    ) -> None:
        self._context, self._source, self._spec, self._client, self._as_of = context, source, spec, client, as_of
        self._threads = ThreadPoolExecutor(_MOST, thread_name_prefix="flywheel-ahead")
        self._begun: deque[Future[Draft | None]] = deque()
        self._draft: Draft | None = None
        self._turn = Lock()
        self._coming: Iterator[Foreseen] = iter(())

    def close(self) -> None:
        """Wait for what was begun, and forget it."""
        self._threads.shutdown(cancel_futures=True)

    def begin(self, entry: LedgerEntry[InferencePlan], batch: ScoredBatch, most: int) -> None:
        """Begin with ``most`` batches after ``entry``, the newest one that is planned, as far as there are threads.

        Nothing is begun if the model left rows of ``batch`` without an answer: one that is down is asked in a batch's
        turn alone.
        """
        if self._draft is None or self._draft.foreseen.entry != entry:
            self._begun.clear()
            self._coming = foresee_after(self._context, entry.number, self._source, self._client, self._as_of)
        while is_answered(batch) and len(self._begun) < min(most, _MOST):
            self._begun.append(self._threads.submit(self._next, self._coming))

    def foreseen(self) -> Foreseen | None:
        """Wait for the batch that was begun first, and return what is foreseen; None where nothing is."""
        self._draft = None
        if self._begun:
            # Whatever went wrong comes again, and is told, when the batch is planned and scored in its turn.
            with suppress(Exception):
                self._draft = self._begun.popleft().result()
        return self._draft.foreseen if self._draft is not None else None

    def draft_of(self, entry: LedgerEntry[InferencePlan]) -> ScoredBatch | None:
        """Return the rows of a planned batch, if it is the one that was foreseen and they still hold."""
        draft = self._draft
        if draft is None or draft.batch is None or draft.foreseen.entry != entry:
            return None
        return draft.batch if is_new(self._context, draft.batch) else None

    def _next(self, coming: Iterator[Foreseen]) -> Draft | None:
        with self._turn:
            foreseen = next(coming, None)
        if foreseen is None:
            return None
        return Draft(foreseen, make_draft(self._context, foreseen.entry, self._source, self._spec, self._client))
