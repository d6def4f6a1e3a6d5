"""Do what events should have done, and did not, since an event is only a hint: start the retrains that drift decisions
asked for, and end the runs whose process is gone."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from flows.retrain import retrain
from tasks.connect import connect
from tasks.drift import find_unanswered
from tasks.lost_runs import LOST_AFTER, settle_lost_runs


class ReconcileSummary(BaseModel):
    """The drift checks that were answered now, and how: ``CHECK: promoted``; the lost runs of all pipelines."""

    pipeline: str
    answered: list[str]
    lost: list[str]


@flow(name="reconcile", flow_run_name="reconcile {pipeline}")
def reconcile(pipeline: PipelineName, as_of: datetime | None = None) -> ReconcileSummary:
    """End lost runs, and answer the drift checks that are still waiting for their retrain.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only checks made by then are seen. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    lost = settle_lost_runs(datetime.now(UTC) - LOST_AFTER)
    done = [retrain(pipeline, check_id=check_id) for check_id in find_unanswered(context, when)]
    answered = [f"{summary.key}: {summary.outcome}" for summary in done]
    return ReconcileSummary(pipeline=pipeline, answered=answered, lost=lost)
