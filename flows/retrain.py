"""Train a candidate on the labelled predictions, compare it with the champion, and promote it if it is better."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from prefect import flow
from pydantic import BaseModel, Field

from flows.parameters import PipelineName, logical_time
from flywheel.context import PipelineContext
from flywheel.retraining.request import RetrainRequest
from tasks.connect import connect
from tasks.reports import publish_retrain
from tasks.retrain import claim, conclude, export_training, fit_candidate

CheckId = Annotated[str, Field(min_length=1, max_length=150)]


class RetrainSummary(BaseModel):
    """What a retrain came to: ``promoted``, ``in_review``, ``rejected`` or ``not_enough_data``, and why."""

    pipeline: str
    key: str
    outcome: str
    reason: str
    candidate: int | None


@flow(name="retrain", flow_run_name="retrain {pipeline}")
def retrain(pipeline: PipelineName, as_of: datetime | None = None, check_id: CheckId | None = None) -> RetrainSummary:
    """Train, evaluate and promote a new version of a pipeline's model.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only labels that had arrived by then are learned from. Default: now.
        check_id: The drift check that asks for this. Each check is answered by one retrain, at the check's own time.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    request = claim(context, when, check_id)
    if request.is_done:
        return _summary(context, request)
    export = export_training(context, request.key, request.as_of)
    trained = fit_candidate(context, request, export)
    done = conclude(context, request, trained, export)
    publish_retrain(context, done, trained)
    return _summary(context, done)


def _summary(context: PipelineContext, request: RetrainRequest) -> RetrainSummary:
    return RetrainSummary(
        pipeline=context.name,
        key=request.key,
        outcome=request.outcome or "running",
        reason=request.reason,
        candidate=request.candidate,
    )
