"""The steps of ``flows/infer.py``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError
from tasks.run_log import in_run_log
from tasks.step import step

if TYPE_CHECKING:
    # Whatever deploys or starts the flow imports this; a second of libraries waits until a step needs them.
    from flywheel.context import PipelineContext
    from flywheel.inference.client import ModelClient
    from flywheel.manifest.documents import SourceSpec
    from flywheel.metadata.ledger import InferencePlan, LedgerEntry
    from flywheel.scoring.ahead import Ahead
    from flywheel.scoring.deliver import SinkFailure
    from flywheel.scoring.plan import Foreseen
    from flywheel.scoring.staging import ScoredBatch
    from flywheel.sources.base import Source

# A step costs Prefect some milliseconds here and a row in its server's database: too much for each of a thousand
# batches. What a step does that is killed is not lost, so it may do more than one.
_STEP_SECONDS = 10.0


@dataclass(frozen=True)
class Scoring:
    """What scoring needs open: the source of records and the connection to the model server."""

    source: Source
    spec: SourceSpec
    client: ModelClient


@dataclass
class Scored:
    """Batches that one step scored: how many, their records by what became of them, and their event times' span."""

    counts: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    is_all: bool = False  # there are no more records

    def add(self, counts: Mapping[str, int], batch: ScoredBatch) -> None:
        """Count one more batch."""
        from flywheel.lake.span import time_span

        self.counts.update(counts, batches=1)
        if times := time_span(batch.predictions):
            self.first, self.last = self.first or times[0], times[1]


def open_model(context: PipelineContext) -> ModelClient:
    """Open the connection to the pipeline's model server."""
    from flywheel.inference.client import ModelClient

    inference, server = context.pipeline.inference, context.model_server
    return ModelClient(server.address if server else inference.model_endpoint, inference, server)


@contextmanager
def open_scoring(context: PipelineContext) -> Iterator[Scoring]:
    """Open the pipeline's source and model server."""
    from flywheel.sources.open import open_source
    from flywheel.sources.shared import SharedSource

    spec = context.connections.source(context.pipeline.spec.source)
    with open_model(context) as client:
        yield Scoring(SharedSource(open_source(spec, context.storage)), spec, client)


@contextmanager
def scoring_ahead(context: PipelineContext, scoring: Scoring, as_of: datetime) -> Iterator[Ahead]:
    """Have the next batches scored while one is logged."""
    from flywheel.scoring.ahead import Ahead

    with closing(Ahead(context, scoring.source, scoring.spec, scoring.client, as_of)) as ahead:
        yield ahead


@step("plan batch", retries=2)
def plan_batch(
    context: PipelineContext, scoring: Scoring, as_of: datetime, foreseen: Foreseen | None = None
) -> LedgerEntry[InferencePlan] | None:
    """Write down what the next batch is; None when there are no new records."""
    from flywheel.scoring import plan

    return plan.plan_batch(context, scoring.source, scoring.client, as_of, foreseen)


@step("score batch")
def score_batch(
    context: PipelineContext, entry: LedgerEntry[InferencePlan], scoring: Scoring, draft: ScoredBatch | None = None
) -> ScoredBatch:
    """Read, check and score the batch's records, unless there is a draft of it."""
    from flywheel.scoring import score

    pinned = context.at_revision(entry.revision)
    return score.score_batch(pinned, entry, scoring.source, scoring.spec, scoring.client, draft)


@step("log batch", retries=2)
def log_batch(context: PipelineContext, entry: LedgerEntry[InferencePlan], batch: ScoredBatch) -> Mapping[str, int]:
    """Append the batch to the lake's tables, exactly once, and commit it."""
    from flywheel.scoring import log

    return log.log_batch(context.at_revision(entry.revision), entry, batch)


@step("score batches", retries=2)
def score_batches(context: PipelineContext, scoring: Scoring, as_of: datetime, most: int) -> Scored:
    """Plan, score and log the next batches one after the other, for some seconds and at most ``most`` of them."""
    scored, until = Scored(), time.monotonic() + _STEP_SECONDS
    with scoring_ahead(context, scoring, as_of) as ahead:
        while scored.counts["batches"] < most and time.monotonic() < until:
            try:
                entry = plan_batch.fn(context, scoring, as_of, ahead.foreseen())
                if entry is None:
                    scored.is_all = True
                    break
                batch = score_batch.fn(context, entry, scoring, ahead.draft_of(entry))
                ahead.begin(entry, batch, most - scored.counts["batches"] - 1)
                scored.add(log_batch.fn(context, entry, batch), batch)
            except Exception:
                if not scored.counts:
                    raise
                break  # the next step begins with this batch, and fails if it fails again; those before are counted
    return scored


@step("deliver to sinks", retries=2)
def deliver_batches(context: PipelineContext) -> list[SinkFailure]:
    """Deliver every committed batch that some sink has yet to get."""
    from flywheel.scoring import deliver

    with in_run_log("flywheel.sinks"):
        return deliver.deliver_batches(context)


def raise_undelivered(context: PipelineContext, failures: list[SinkFailure]) -> None:
    """Fail the run if a sink did not take a batch: the log is complete, but somebody must look at the sink."""
    if failures:
        raise FlywheelError(
            "; ".join(f"sink {f.sink!r} did not take batch {f.number}: {f.error}" for f in failures),
            state="every batch is logged; what was not delivered is kept, and each run of infer tries it again",
            next_step=f"mend the sink, then: flywheel run infer -p {context.name}",
        )
