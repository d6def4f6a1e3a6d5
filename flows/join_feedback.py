"""Join the feedback events that are new to the predictions they are about, and append the labels."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import BatchLimit, PipelineName, logical_time
from tasks.connect import connect
from tasks.feedback import commit_labels, ingest_events, join_events, open_feedback, plan_join
from tasks.summary import publish_summary


class FeedbackSummary(BaseModel):
    """What a run of ``join-feedback`` did: batches, and events by what became of them."""

    pipeline: str
    batches: int = 0
    events: int = 0
    quarantined: int = 0
    labelled: int = 0
    recovered: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    unlabelled: int = 0
    orphans: int = 0
    waiting: int = 0
    absent: int = 0


@flow(name="join-feedback", flow_run_name="join feedback {pipeline}")
def join_feedback(
    pipeline: PipelineName, as_of: datetime | None = None, max_batches: BatchLimit = 10_000
) -> FeedbackSummary:
    """Turn new feedback events into labels.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only events received by then are seen. Default: now.
        max_batches: Stop after this many batches of events; the next run goes on from there.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    feedback = open_feedback(context)
    totals: Counter[str] = Counter()
    waiting = 0
    while totals["batches"] < max_batches and (entry := plan_join(context, feedback, when)):
        events = ingest_events(context, entry, feedback)
        joined = join_events(context, entry, events)
        counts = commit_labels(context, entry, events, joined)
        waiting = counts["waiting"]
        totals.update(counts, batches=1)
    summary = FeedbackSummary(pipeline=pipeline, **{**totals, "waiting": waiting})
    publish_summary(context, "join-feedback", summary)
    return summary
