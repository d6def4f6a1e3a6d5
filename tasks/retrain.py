"""The steps of ``flows/retrain.py``, ``flows/export_training.py`` and ``flows/promote.py``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.context import PipelineContext
from flywheel.registry.version import RegisteredModel
from flywheel.retraining import request as requests
from flywheel.retraining.request import RetrainRequest
from tasks.events import MODEL_PROMOTED, MODEL_REJECTED, REVIEW_REQUESTED, emit
from tasks.step import step

if TYPE_CHECKING:
    # great_expectations and scikit-learn take seconds to import, so the steps that need them import them.
    from flywheel.export.manifest import ExportManifest
    from flywheel.training.holdout import NotEnoughData
    from flywheel.training.train import Candidate

_EVENTS = {"promoted": MODEL_PROMOTED, "rejected": MODEL_REJECTED, "in_review": REVIEW_REQUESTED}


@step("claim retrain", retries=2)
def claim(context: PipelineContext, as_of: datetime, check_id: str | None) -> RetrainRequest:
    """Claim the retrain for a drift check or a logical time; one that is done already stays as it is."""
    return requests.claim(context, as_of, check_id)


@step("export training data")
def export_training(context: PipelineContext, key: str, as_of: datetime) -> ExportManifest | None:
    """Publish the labelled rows known at ``as_of`` through the data-quality gate; None when there are none."""
    from flywheel.retraining.export import export_training

    return export_training(context, key, as_of)


@step("fit and evaluate")
def fit_candidate(
    context: PipelineContext, request: RetrainRequest, export: ExportManifest | None
) -> Candidate | NotEnoughData:
    """Fit a candidate and compare it with the champion on the same later rows."""
    from flywheel.retraining.fit import fit_candidate

    return fit_candidate(context, request, export)


@step("register and promote", retries=1)
def conclude(
    context: PipelineContext,
    request: RetrainRequest,
    trained: Candidate | NotEnoughData,
    export: ExportManifest | None,
) -> RetrainRequest:
    """Register the candidate; promote it, ask for a review or reject it, as the gate and the manifest say."""
    from flywheel.retraining.promotion import conclude

    done = conclude(context, request, trained, export.id if export else None)
    if done.outcome in _EVENTS:
        payload = {"key": done.key, "version": done.candidate, "reason": done.reason}
        emit(_EVENTS[done.outcome], context.name, payload, action=done.outcome)
    return done


@step("act on reviews", retries=1)
def act_on_reviews(context: PipelineContext, as_of: datetime) -> list[RegisteredModel]:
    """Promote what was approved, reject what was declined."""
    from flywheel.retraining.promotion import act_on_reviews

    return act_on_reviews(context, as_of)
