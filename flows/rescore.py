"""Ask the model again about the records that a fallback answered; what was served stays as it is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from tasks.connect import connect
from tasks.rescore import find_waiting, raise_unanswered, rescore_batches
from tasks.runner import ShardRunner, each_shard
from tasks.summary import publish_summary

if TYPE_CHECKING:
    from flywheel.rescoring.rescore import Rescored


class RescoreSummary(BaseModel):
    """What a run of ``rescore`` did: ``waiting`` rows there were, and what became of them.

    ``failed`` rows got no prediction again and are tried by the next run; of ``unscorable`` ones the lake does not have
    the features any more.
    """

    pipeline: str
    outcome: str
    waiting: int
    rescored: int
    failed: int
    unscorable: int


@flow(name="rescore", flow_run_name="rescore {pipeline}", task_runner=ShardRunner())
def rescore(pipeline: PipelineName, as_of: datetime | None = None) -> RescoreSummary:
    """Score again what a fallback answered, into the table ``rescored``.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only predictions made by then are seen. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    batches = find_waiting(context, when)
    results: list[Rescored] = []
    for result in each_shard(rescore_batches, batches, context.name, when):
        results.append(result)
        if result.is_down:
            break
    summary = RescoreSummary(
        pipeline=pipeline,
        outcome="done" if batches else "nothing to rescore",
        waiting=sum(each.rows for each in batches),
        rescored=sum(each.rescored for each in results),
        failed=sum(each.failed for each in results),
        unscorable=sum(each.unscorable for each in results),
    )
    publish_summary(context, "rescore", summary)
    raise_unanswered(context, batches, results)
    return summary
