"""Candidates that wait for a person, and the decisions on them; a later ``promote`` run acts on those."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import select

from flywheel.errors import FlywheelError, not_found
from flywheel.metadata.database import Database
from flywheel.metadata.schema import ModelVersion, Review

Decision = Literal["approved", "declined"]


@dataclass(frozen=True)
class ReviewEntry:
    """A candidate and what was decided about it: pending, approved or declined."""

    model_id: str
    version: int
    pipeline: str
    decision: str
    comment: str
    asked_at: datetime
    decided_at: datetime | None
    metrics: dict[str, float]


def list_reviews(database: Database, *, pending_only: bool) -> list[ReviewEntry]:
    """Return the reviews, the one asked for last first."""
    wanted = select(Review, ModelVersion.metrics).outerjoin(
        ModelVersion, (ModelVersion.model_id == Review.model_id) & (ModelVersion.version == Review.version)
    )
    if pending_only:
        wanted = wanted.where(Review.decision == "pending")
    with database.session() as session:
        rows = session.execute(wanted.order_by(Review.asked_at.desc(), Review.version.desc())).all()
    return [_entry(review, metrics or {}) for review, metrics in rows]


def decide_review(database: Database, model_id: str, version: int, decision: Decision, comment: str) -> ReviewEntry:
    """Store a decision; the same one again changes nothing, another one is refused."""
    with database.session() as session:
        review = session.get(Review, (model_id, version), with_for_update=True)
        candidate = session.get(ModelVersion, (model_id, version))
        if review is None:
            known = [f"{row.model_id} {row.version}" for row in session.scalars(select(Review))]
            raise not_found("review of", f"{model_id} {version}", known, next_step="flywheel review list --all")
        if review.decision not in ("pending", decision):
            raise FlywheelError(
                f"{model_id} version {version} was {review.decision} already",
                state="the decision stands",
                next_step=f"flywheel model history {model_id}",
            )
        if review.decision == "pending":
            review.decision, review.comment, review.decided_at = decision, comment, datetime.now(UTC)
        return _entry(review, candidate.metrics if candidate else {})


def _entry(review: Review, metrics: dict[str, float]) -> ReviewEntry:
    return ReviewEntry(
        model_id=review.model_id,
        version=review.version,
        pipeline=review.pipeline,
        decision=review.decision,
        comment=review.comment,
        asked_at=review.asked_at,
        decided_at=review.decided_at,
        metrics=metrics,
    )
