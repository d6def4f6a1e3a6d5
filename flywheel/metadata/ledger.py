"""The batch ledger: what batch N is gets written down before any work, and that it is done after all of it.

Planning is first come, first served on the primary key (pipeline, feed, number): a run that comes second is handed the
plan of the first. A planned batch is always finished before the next one is planned, by whichever run comes along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flywheel.metadata.database import Database
from flywheel.metadata.schema import Batch, SourceProgress
from flywheel.sources.base import Progress, Slice


class Plan(BaseModel):
    """What a batch reads, pinned so that a second run of it does the same."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    slices: list[Slice]


class InferencePlan(Plan):
    """A batch of records, and the model version that scores it."""

    model_id: str
    model_version: int | None  # None: a server that is not fed from our registry
    serve_fallback: bool = False  # drift said: do not trust the model


class Considered(BaseModel):
    """Which predictions have been looked at for absence: those up to a batch whose delay was over by a time."""

    model_config = ConfigDict(frozen=True)

    until: datetime
    last_batch: int


class JoinPlan(Plan):
    """A batch of feedback events, and the newest batch of predictions that it is joined to.

    Predictions between ``considered_before`` and ``considered`` get the label that absence means.
    """

    last_logged: int
    previous_as_of: datetime | None
    considered_before: Considered | None = None
    considered: Considered | None = None


PlanT = TypeVar("PlanT", bound=Plan)


@dataclass(frozen=True)
class LedgerEntry(Generic[PlanT]):
    """A row of the ledger."""

    pipeline: str
    number: int
    revision: int
    as_of: datetime
    plan: PlanT
    committed: bool
    counts: Mapping[str, int] = field(default_factory=dict)


class Ledger(Generic[PlanT]):
    """The ledger of one feed of one pipeline.

    Parameters
    ----------
    feed
        ``records`` (inference) or ``feedback`` (the join).
    plan_type
        How this feed's plans are read back.
    """

    def __init__(
        self, database: Database, pipeline: str, feed: Literal["records", "feedback"], plan_type: type[PlanT]
    ) -> None:
        self._database = database
        self._pipeline = pipeline
        self._feed = feed
        self._plan_type = plan_type

    def latest(self) -> LedgerEntry[PlanT] | None:
        """Return the newest batch, planned or committed."""
        with self._database.session() as session:
            row = self._newest(session)
            return self._entry(row) if row else None

    def progress(self) -> dict[str, Progress]:
        """Return how far the planned batches have read each part of the source."""
        with self._database.session() as session:
            return self._progress(session)

    def next_batch(
        self, make_plan: Callable[[Mapping[str, Progress]], PlanT | None], *, revision: int, as_of: datetime
    ) -> LedgerEntry[PlanT] | None:
        """Return the batch to work on: the one left unfinished, else a newly planned one, else None.

        ``make_plan`` is called with the progress so far and answers None when there is nothing to do.
        """
        with self._database.session() as session:
            row = self._newest(session)
            newest = self._entry(row) if row else None
            if newest and not newest.committed:
                return newest
            progress = self._progress(session)
        plan = make_plan(progress)
        if plan is None:
            return None
        number = newest.number + 1 if newest else 1
        try:
            return self._insert(number, plan, revision, as_of)
        except IntegrityError:
            return self._planned_by_another(number)

    def commit(self, number: int, counts: Mapping[str, int]) -> None:
        """Mark a batch as done; a second call changes nothing."""
        with self._database.session() as session:
            row = session.get(Batch, (self._pipeline, self._feed, number), with_for_update=True)
            if row is not None and row.status == "planned":
                row.status = "committed"
                row.counts = dict(counts)
                row.committed_at = datetime.now(UTC)

    def raise_counts(self, number: int, counts: Mapping[str, int]) -> None:
        """Note of a committed batch what became of it later; a count never gets smaller."""
        with self._database.session() as session:
            row = session.get(Batch, (self._pipeline, self._feed, number), with_for_update=True)
            if row is not None:
                known = row.counts
                row.counts = {**known, **{name: max(count, known.get(name, 0)) for name, count in counts.items()}}

    def committed_since(self, number: int) -> list[LedgerEntry[PlanT]]:
        """Return the committed batches after ``number``, oldest first."""
        with self._database.session() as session:
            rows = session.scalars(
                select(Batch)
                .where(Batch.pipeline == self._pipeline, Batch.feed == self._feed)
                .where(Batch.number > number, Batch.status == "committed")
                .order_by(Batch.number)
            )
            return [self._entry(row) for row in rows]

    def newest_committed(self, as_of: datetime, before: int | None = None) -> LedgerEntry[PlanT] | None:
        """Return the newest committed batch that ran at ``as_of`` or earlier; with ``before``, of a lower number."""
        wanted = (
            select(Batch)
            .where(Batch.pipeline == self._pipeline, Batch.feed == self._feed)
            .where(Batch.status == "committed", Batch.as_of <= as_of)
            .order_by(Batch.number.desc())
            .limit(1)
        )
        with self._database.session() as session:
            row = session.scalar(wanted if before is None else wanted.where(Batch.number < before))
            return self._entry(row) if row else None

    def _progress(self, session: Session) -> dict[str, Progress]:
        rows = session.scalars(
            select(SourceProgress).where(SourceProgress.pipeline == self._pipeline, SourceProgress.feed == self._feed)
        )
        return {row.part: Progress(rows=row.rows, mark=row.mark) for row in rows}

    def _newest(self, session: Session) -> Batch | None:
        mine = (Batch.pipeline == self._pipeline, Batch.feed == self._feed)
        newest = select(func.max(Batch.number)).where(*mine).scalar_subquery()
        return session.scalar(select(Batch).where(*mine, Batch.number == newest))

    def _insert(self, number: int, plan: PlanT, revision: int, as_of: datetime) -> LedgerEntry[PlanT]:
        with self._database.session() as session:
            row = Batch(
                pipeline=self._pipeline,
                feed=self._feed,
                number=number,
                status="planned",
                revision=revision,
                as_of=as_of,
                plan=plan.model_dump(mode="json"),
                counts={},
                planned_at=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
            for item in plan.slices:
                session.merge(
                    SourceProgress(
                        pipeline=self._pipeline, feed=self._feed, part=item.part, rows=item.stop, mark=item.mark
                    )
                )
            return self._entry(row)

    def _planned_by_another(self, number: int) -> LedgerEntry[PlanT] | None:
        with self._database.session() as session:
            row = session.get(Batch, (self._pipeline, self._feed, number))
            return self._entry(row) if row else None

    def _entry(self, row: Batch) -> LedgerEntry[PlanT]:
        return LedgerEntry(
            pipeline=row.pipeline,
            number=row.number,
            revision=row.revision,
            as_of=row.as_of,
            plan=self._plan_type.model_validate(row.plan),
            committed=row.status == "committed",
            counts=row.counts,
        )
