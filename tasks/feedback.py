"""The steps of ``flows/join_feedback.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flywheel.context import PipelineContext
from flywheel.feedback import batch
from flywheel.feedback.ingest import Events
from flywheel.feedback.join import Joined
from flywheel.manifest.documents import SourceSpec
from flywheel.metadata.ledger import JoinPlan, LedgerEntry
from flywheel.sources.base import Source
from flywheel.sources.open import open_source
from tasks.step import step


@dataclass(frozen=True)
class FeedbackSource:
    """The opened source of feedback events."""

    source: Source
    spec: SourceSpec


def open_feedback(context: PipelineContext) -> FeedbackSource:
    """Open the source that the manifest's feedback section names."""
    spec = context.connections.source(batch.feedback_config(context).source)
    return FeedbackSource(open_source(spec, context.storage), spec)


@step("plan join", retries=2)
def plan_join(context: PipelineContext, feedback: FeedbackSource, as_of: datetime) -> LedgerEntry[JoinPlan] | None:
    """Write down which events the next join takes; None when there is nothing to join."""
    return batch.plan_join(context, feedback.source, as_of)


@step("ingest events", retries=2)
def ingest_events(context: PipelineContext, entry: LedgerEntry[JoinPlan], feedback: FeedbackSource) -> Events:
    """Append the events to the feedback table, with the labels that the rules give them."""
    return batch.ingest_events(context.at_revision(entry.revision), entry, feedback.source, feedback.spec)


@step("join events", retries=1)
def join_events(context: PipelineContext, entry: LedgerEntry[JoinPlan], events: Events) -> Joined:
    """Find the predictions that the events are about."""
    return batch.join_events(context.at_revision(entry.revision), entry, events)


@step("commit labels", retries=2)
def commit_labels(
    context: PipelineContext, entry: LedgerEntry[JoinPlan], events: Events, joined: Joined
) -> Mapping[str, int]:
    """Append the label rows, exactly once, and commit the batch."""
    return batch.commit_labels(context.at_revision(entry.revision), entry, events, joined)
