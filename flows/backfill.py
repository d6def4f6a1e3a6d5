"""Drain a backlog of records as ``infer`` does, with the scoring done ahead, by several processes."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import BatchLimit, PipelineName, logical_time
from tasks.backfill import draft_batches, foresee_parts, take_draft
from tasks.connect import connect
from tasks.progress import RunProgress
from tasks.runner import ShardRunner, each_shard
from tasks.score import deliver_batches, log_batch, open_scoring, plan_batch, raise_undelivered, score_batch
from tasks.summary import publish_summary


class BackfillSummary(BaseModel):
    """What a run of ``backfill`` did: batches, those of them scored ``ahead``, and records by what became of them."""

    pipeline: str
    batches: int = 0
    ahead: int = 0
    records: int = 0
    ok: int = 0
    fallback: int = 0
    quarantined: int = 0
    dead_letters: int = 0


@flow(name="backfill", flow_run_name="backfill {pipeline}", task_runner=ShardRunner())
def backfill(
    pipeline: PipelineName, as_of: datetime | None = None, max_batches: BatchLimit = 10_000
) -> BackfillSummary:
    """Score a pipeline's backlog of records; ``infer`` may run at the same time.

    Batches are planned and logged one after the other, by this process; others read, check and score those that come
    next meanwhile.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only records known by then are seen. Default: now.
        max_batches: Stop after this many micro-batches; the next run goes on from there.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    if not context.pipeline.spec.enabled:
        return BackfillSummary(pipeline=pipeline)
    totals: Counter[str] = Counter()
    progress = RunProgress(context, when)
    failures = deliver_batches(context)
    with open_scoring(context) as scoring:
        for turns in each_shard(draft_batches, foresee_parts(context, scoring, when, max_batches), context.name):
            for _ in range(turns):
                if (entry := plan_batch(context, scoring, when)) is None:
                    break
                drafted = take_draft(context, entry)
                scored = drafted or score_batch(context, entry, scoring)
                totals.update(log_batch(context, entry, scored), batches=1, ahead=int(drafted is not None))
                progress.advance(scored.predictions)
            if not failures:
                failures = deliver_batches(context)
    summary = BackfillSummary(pipeline=pipeline, **totals)
    failures = deliver_batches(context)
    publish_summary(context, "backfill", summary, failures)
    raise_undelivered(context, failures)
    return summary
