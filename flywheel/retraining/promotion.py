"""Registers a candidate and promotes it, asks for a review, or rejects it."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flywheel.context import PipelineContext
from flywheel.errors import PromotionConflictError
from flywheel.metadata.schema import Review
from flywheel.registry.version import RegisteredModel
from flywheel.retraining.reference import baseline_id, make_baseline
from flywheel.retraining.request import Outcome, RetrainRequest, finish
from flywheel.training.holdout import NotEnoughData
from flywheel.training.train import Candidate, card_of, require_training


def conclude(
    context: PipelineContext, request: RetrainRequest, trained: Candidate | NotEnoughData, export_id: str | None
) -> RetrainRequest:
    """Register what a retrain made, act on the gate's decision, and note the outcome.

    Every step can be done twice: a version is registered once per key, and a promotion names the champion it replaces.
    """
    if isinstance(trained, NotEnoughData):
        return finish(context, request, "not_enough_data", trained.reason, None)
    registered = _register(context, request, trained, export_id)
    if not trained.decision.passed:
        context.registry.reject(registered.model_id, registered.version, trained.decision.reason, request.as_of)
        return finish(context, request, "rejected", trained.decision.reason, registered.version)
    if require_training(context.pipeline).promotion == "review" and request.champion is not None:
        _ask_for_review(context, registered)
        return finish(context, request, "in_review", trained.decision.reason, registered.version)
    outcome, reason = _promote(context, request, registered, trained.decision.reason)
    return finish(context, request, outcome, reason, registered.version)


def act_on_reviews(context: PipelineContext, as_of: datetime) -> list[RegisteredModel]:
    """Promote what was approved and reject what was declined; return the versions that changed."""
    changed = []
    model_id = context.pipeline.inference.model_id
    for review in _decided_reviews(context):
        version = context.registry.get(model_id, review.version)
        if version.status != "candidate":
            continue
        if review.decision == "approved":
            champion = context.registry.champion(model_id)
            replaced = champion.version if champion else None
            reason = f"approved in review: {review.comment}"
            changed.append(context.registry.promote(model_id, review.version, replaced, reason, as_of))
        else:
            reason = f"declined in review: {review.comment}"
            changed.append(context.registry.reject(model_id, review.version, reason, as_of))
    return changed


def _promote(
    context: PipelineContext, request: RetrainRequest, registered: RegisteredModel, reason: str
) -> tuple[Outcome, str]:
    """Make a version the champion; one that was compared with a champion that is none any more is rejected."""
    model_id, version = registered.model_id, registered.version
    try:
        context.registry.promote(model_id, version, request.champion, reason, request.as_of)
    except PromotionConflictError as conflict:
        if context.registry.get(model_id, version).status == "archived":
            # An earlier try of this request promoted it, and another has replaced it since.
            return "promoted", reason
        context.registry.reject(model_id, version, conflict.what, request.as_of)
        return "rejected", conflict.what
    return "promoted", reason


def _register(
    context: PipelineContext, request: RetrainRequest, trained: Candidate, export_id: str | None
) -> RegisteredModel:
    training = require_training(context.pipeline)
    card = card_of(trained, training, request.as_of, baseline_id(context, request.key), export_id)
    make_baseline(context, trained, card, request.as_of)
    return context.registry.register(
        model_id=context.pipeline.inference.model_id,
        pipeline=context.name,
        training_key=request.key,
        model_bytes=trained.model.to_bytes(),
        card=card,
        metrics=trained.evaluation.metrics,
        as_of=request.as_of,
        onnx=trained.conversion.data,
    )


def _ask_for_review(context: PipelineContext, registered: RegisteredModel) -> None:
    row = Review(
        model_id=registered.model_id,
        version=registered.version,
        pipeline=context.name,
        decision="pending",
        comment="",
        asked_at=datetime.now(UTC),
    )
    try:
        with context.database.session() as session:
            session.add(row)
    except IntegrityError:
        return


def _decided_reviews(context: PipelineContext) -> list[Review]:
    query = select(Review).where(Review.pipeline == context.name, Review.decision != "pending").order_by(Review.version)
    with context.database.session() as session:
        return list(session.scalars(query))
