"""Start the retrains that drift decisions asked for and that never ran: an event is only a hint."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from flows.retrain import retrain
from tasks.connect import connect
from tasks.drift import find_unanswered


class ReconcileSummary(BaseModel):
    """The drift checks that were answered now, and how: ``CHECK: promoted``."""

    pipeline: str
    answered: list[str]


@flow(name="reconcile", flow_run_name="reconcile {pipeline}")
def reconcile(pipeline: PipelineName, as_of: datetime | None = None) -> ReconcileSummary:
    """Answer the drift checks that are still waiting for their retrain.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only checks made by then are seen. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    done = [retrain(pipeline, check_id=check_id) for check_id in find_unanswered(context, when)]
    return ReconcileSummary(pipeline=pipeline, answered=[f"{summary.key}: {summary.outcome}" for summary in done])
