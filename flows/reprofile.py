"""Profile what is logged on the champion's baseline, so that a window of before its promotion can be checked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from prefect import flow
from pydantic import BaseModel, Field

from flows.parameters import PipelineName, logical_time
from tasks.connect import connect
from tasks.reprofile import find_unprofiled, profile_again
from tasks.runner import ShardRunner, each_shard
from tasks.summary import publish_summary

Days = Annotated[int, Field(ge=1, le=3_650)]


class ReprofileSummary(BaseModel):
    """What a run of ``reprofile`` did: batches that it profiled, and their rows.

    ``gone`` batches are not profiled: retention has removed some of their rows.
    """

    pipeline: str
    batches: int = 0
    rows: int = 0
    gone: int = 0


@flow(name="reprofile", flow_run_name="reprofile {pipeline}", task_runner=ShardRunner())
def reprofile(pipeline: PipelineName, as_of: datetime | None = None, days: Days = 30) -> ReprofileSummary:
    """Profile logged batches again, on the baseline of the present champion.

    Args:
        pipeline: The pipeline's name.
        as_of: Only batches made by then are profiled. Default: now.
        days: How far back from then.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    found = list(each_shard(profile_again, find_unprofiled(context, when, timedelta(days=days)), context.name))
    summary = ReprofileSummary(
        pipeline=pipeline,
        batches=sum(each.batches for each in found),
        rows=sum(each.rows for each in found),
        gone=sum(each.gone for each in found),
    )
    publish_summary(context, "reprofile", summary)
    return summary
