"""One batch of feedback: planned in the ledger, ingested, joined, appended exactly once, committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime

import polars as pl

from flywheel.context import PipelineContext
from flywheel.errors import FlywheelError
from flywheel.feedback.absence import absence_labels, absence_rule, next_considered
from flywheel.feedback.ingest import Events, event_paths, label_events
from flywheel.feedback.join import JoinBatch, Joined, join_feedback
from flywheel.feedback.waiting import forget_before, recall, remember
from flywheel.manifest.documents import SourceSpec
from flywheel.manifest.feedback import FeedbackConfig
from flywheel.metadata.ledger import JoinPlan, LedgerEntry
from flywheel.records.horizon import Horizon
from flywheel.sources.base import Progress, Source

MAX_EVENTS = 1_000_000


def feedback_config(context: PipelineContext) -> FeedbackConfig:
    """Return the pipeline's feedback section, or raise the error that says it has none."""
    if context.pipeline.feedback is None:
        raise FlywheelError(
            f"pipeline {context.name!r} has no feedback", next_step="add spec.feedback to its manifest and apply it"
        )
    return context.pipeline.feedback


def plan_join(context: PipelineContext, source: Source, as_of: datetime) -> LedgerEntry[JoinPlan] | None:
    """Return the next batch of feedback; None when there are no new events and no new predictions for waiting ones.

    Absence is looked for once there are no more events: an event that waits to be read is not absent.
    """
    previous = context.feedback.latest()
    logged = _last_logged(context)
    done = previous.plan.considered if previous else None

    def make_plan(progress: Mapping[str, Progress]) -> JoinPlan | None:
        slices = source.plan(progress, as_of, MAX_EVENTS)
        considered = done
        if not slices and not _waiting_can_match(previous, logged):
            rule = absence_rule(feedback_config(context))
            considered = next_considered(rule, done, context.tables, logged, as_of) if rule else None
            if considered is None or considered == done:
                return None
        return JoinPlan(
            slices=slices,
            last_logged=logged,
            previous_as_of=_latest_time(previous),
            considered_before=done,
            considered=considered,
        )

    return context.feedback.next_batch(make_plan, revision=context.revision, as_of=as_of)


def ingest_events(context: PipelineContext, entry: LedgerEntry[JoinPlan], source: Source, spec: SourceSpec) -> Events:
    """Read a batch's events and append them to the feedback table, those that can't be used to the quarantine."""
    feedback = feedback_config(context)
    records = source.read(entry.plan.slices, event_paths(feedback, spec))
    horizon = Horizon(entry.as_of, context.pipeline.spec.batch.max_ahead)
    events = label_events(records, feedback, spec, entry.number, horizon)
    day = pl.col("event_time").dt.date().fill_null(entry.as_of.date())
    app = _app(context)
    context.tables.quarantine.append_once(events.quarantined.with_columns(date=day), app, entry.number)
    context.tables.feedback.append_once(events.rows, app, entry.number)
    return events


def join_events(context: PipelineContext, entry: LedgerEntry[JoinPlan], events: Events) -> Joined:
    """Find the predictions that a batch's events, and earlier ones still waiting, are about, and those without one."""
    feedback = feedback_config(context)
    batch = JoinBatch(
        number=entry.number,
        events=events.rows,
        as_of=entry.as_of,
        previous_as_of=entry.plan.previous_as_of,
        last_logged=entry.plan.last_logged,
        max_delay=feedback.max_delay,
        waiting=recall(context, entry.number - 1),
    )
    joined = join_feedback(context.tables, batch)
    rule = absence_rule(feedback)
    if rule is None:
        return joined
    absent = absence_labels(context.tables, rule, entry.plan, entry.number, entry.as_of, joined.labels)
    counts = replace(joined.counts, absent=absent.height)
    return replace(joined, labels=pl.concat([joined.labels, absent]), counts=counts)


def commit_labels(
    context: PipelineContext, entry: LedgerEntry[JoinPlan], events: Events, joined: Joined
) -> Mapping[str, int]:
    """Append a batch's label rows, exactly once, and commit it; return what was counted."""
    context.tables.labels.append_once(joined.labels, _app(context), entry.number)
    remember(context, entry.number, joined.waiting)
    counts = {
        "events": events.rows.height + events.quarantined.height,
        "quarantined": events.quarantined.height,
        **asdict(joined.counts),
    }
    context.feedback.commit(entry.number, counts)
    forget_before(context, entry.number)
    return counts


def _app(context: PipelineContext) -> str:
    return f"{context.name}/feedback"


def _last_logged(context: PipelineContext) -> int:
    """The newest batch of predictions that is whole."""
    newest = context.records.latest()
    if newest is None:
        return 0
    return newest.number if newest.committed else newest.number - 1


def _latest_time(previous: LedgerEntry[JoinPlan] | None) -> datetime | None:
    """The latest logical time of all joins so far, which is not that of the last one after a clock was set back."""
    if previous is None:
        return None
    before = previous.plan.previous_as_of
    return max(previous.as_of, before) if before else previous.as_of


def _waiting_can_match(previous: LedgerEntry[JoinPlan] | None, logged: int) -> bool:
    if previous is None or not previous.committed:
        return False
    return previous.counts.get("waiting", 0) > 0 and logged > previous.plan.last_logged
