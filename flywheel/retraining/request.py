"""A retrain is asked for by a key (a drift check's id, a logical time), and done once for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.exc import IntegrityError

from flywheel.context import PipelineContext
from flywheel.errors import not_found
from flywheel.metadata.schema import DriftCheck, Retraining

Outcome = Literal["promoted", "in_review", "rejected", "not_enough_data"]


@dataclass(frozen=True)
class RetrainRequest:
    """A claimed retrain.

    ``as_of`` and ``champion`` (the version to beat) are pinned by whoever claims it first, so that a second run of it
    does the same. ``outcome`` is None until it is done.
    """

    key: str
    as_of: datetime
    champion: int | None
    outcome: Outcome | None = None
    reason: str = ""
    candidate: int | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome is not None


def claim(context: PipelineContext, as_of: datetime, check_id: str | None) -> RetrainRequest:
    """Return the retrain for a drift check, or for a logical time; the same one whenever it is asked for again."""
    when = _time_of(context, check_id) if check_id else as_of
    key = check_id or f"{context.name}.{when:%Y%m%dT%H%M%SZ}"
    champion = context.registry.champion(context.pipeline.inference.model_id)
    row = Retraining(
        pipeline=context.name,
        key=key,
        as_of=when,
        status="running",
        champion=champion.version if champion else None,
        started_at=datetime.now(UTC),
    )
    try:
        with context.database.session() as session:
            session.add(row)
    except IntegrityError:
        return _claimed(context, key)
    return RetrainRequest(key, when, row.champion)


def finish(
    context: PipelineContext, request: RetrainRequest, outcome: Outcome, reason: str, candidate: int | None
) -> RetrainRequest:
    """Note how a retrain ended; the first note stands."""
    with context.database.session() as session:
        row = session.get_one(Retraining, (context.name, request.key), with_for_update=True)
        if row.status != "done":
            row.status, row.outcome, row.reason = "done", outcome, reason
            row.candidate, row.finished_at = candidate, datetime.now(UTC)
    return _claimed(context, request.key)


def _claimed(context: PipelineContext, key: str) -> RetrainRequest:
    with context.database.session() as session:
        row = session.get_one(Retraining, (context.name, key))
    return RetrainRequest(
        key=row.key,
        as_of=row.as_of,
        champion=row.champion,
        outcome=row.outcome,  # type: ignore[arg-type]
        reason=row.reason,
        candidate=row.candidate,
    )


def _time_of(context: PipelineContext, check_id: str) -> datetime:
    with context.database.session() as session:
        check = session.get(DriftCheck, check_id)
    if check is None or check.pipeline != context.name:
        raise not_found("drift check", check_id, [], next_step=f"flywheel drift history -p {context.name}")
    return check.as_of
