"""Act on the reviews that people have decided: promote what was approved, reject what was declined."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from tasks.connect import connect
from tasks.retrain import act_on_reviews


class PromoteSummary(BaseModel):
    """The versions that changed: ``3: champion``, ``4: rejected``."""

    pipeline: str
    changed: list[str]


@flow(name="promote", flow_run_name="promote {pipeline}")
def promote(pipeline: PipelineName, as_of: datetime | None = None) -> PromoteSummary:
    """Promote and reject as reviews say.

    Args:
        pipeline: The pipeline's name.
        as_of: The time that the promotion is noted at. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    changed = act_on_reviews(context, when)
    return PromoteSummary(pipeline=pipeline, changed=[f"{model.version}: {model.status}" for model in changed])
