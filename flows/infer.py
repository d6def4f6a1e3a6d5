"""Score the records that are new, log every prediction exactly once, and deliver them to the sinks."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import BatchLimit, PipelineName, logical_time
from tasks.connect import connect
from tasks.progress import RunProgress
from tasks.score import deliver_batches, open_scoring, raise_undelivered, score_batches
from tasks.summary import publish_summary


class InferSummary(BaseModel):
    """What a run of ``infer`` did: batches, and records by what became of them.

    ``rescore`` makes up for the ``fallback`` rows, and for those of the ``quarantined`` that are ``dead_letters``.
    """

    pipeline: str
    batches: int = 0
    records: int = 0
    ok: int = 0
    fallback: int = 0
    quarantined: int = 0
    dead_letters: int = 0


@flow(name="infer", flow_run_name="infer {pipeline}")
def infer(pipeline: PipelineName, as_of: datetime | None = None, max_batches: BatchLimit = 10_000) -> InferSummary:
    """Score the new records of a pipeline.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only records known by then are seen. Default: now.
        max_batches: Stop after this many micro-batches; the next run goes on from there.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    if not context.pipeline.spec.enabled:
        return InferSummary(pipeline=pipeline)
    totals: Counter[str] = Counter()
    progress = RunProgress(context, when)
    failures = deliver_batches(context)
    with open_scoring(context) as scoring:
        while totals["batches"] < max_batches:
            scored = score_batches(context, scoring, when, max_batches - totals["batches"])
            totals.update(scored.counts)
            if scored.first and scored.last:
                progress.reach(scored.first, scored.last)
            if scored.is_all:
                break
            if not failures:
                failures = deliver_batches(context)
    summary = InferSummary(pipeline=pipeline, **totals)
    failures = deliver_batches(context)
    publish_summary(context, "infer", summary, failures)
    raise_undelivered(context, failures)
    return summary
