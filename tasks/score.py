"""The steps of ``flows/infer.py``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from flywheel.context import PipelineContext
from flywheel.errors import FlywheelError
from flywheel.inference.client import ModelClient
from flywheel.manifest.documents import SourceSpec
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.scoring import deliver, log, plan, score
from flywheel.scoring.deliver import SinkFailure
from flywheel.scoring.staging import ScoredBatch
from flywheel.sources.base import Source
from flywheel.sources.open import open_source
from tasks.run_log import in_run_log
from tasks.step import step


@dataclass(frozen=True)
class Scoring:
    """What scoring needs open: the source of records and the connection to the model server."""

    source: Source
    spec: SourceSpec
    client: ModelClient


def open_model(context: PipelineContext) -> ModelClient:
    """Open the connection to the pipeline's model server."""
    inference, server = context.pipeline.inference, context.model_server
    return ModelClient(server.address if server else inference.model_endpoint, inference, server)


@contextmanager
def open_scoring(context: PipelineContext) -> Iterator[Scoring]:
    """Open the pipeline's source and model server."""
    spec = context.connections.source(context.pipeline.spec.source)
    with open_model(context) as client:
        yield Scoring(open_source(spec, context.storage), spec, client)


@step("plan batch", retries=2)
def plan_batch(context: PipelineContext, scoring: Scoring, as_of: datetime) -> LedgerEntry[InferencePlan] | None:
    """Write down what the next batch is; None when there are no new records."""
    return plan.plan_batch(context, scoring.source, scoring.client, as_of)


@step("score batch")
def score_batch(context: PipelineContext, entry: LedgerEntry[InferencePlan], scoring: Scoring) -> ScoredBatch:
    """Read, check and score the batch's records."""
    pinned = context.at_revision(entry.revision)
    return score.score_batch(pinned, entry, scoring.source, scoring.spec, scoring.client)


@step("log batch", retries=2)
def log_batch(context: PipelineContext, entry: LedgerEntry[InferencePlan], batch: ScoredBatch) -> Mapping[str, int]:
    """Append the batch to the lake's tables, exactly once, and commit it."""
    return log.log_batch(context.at_revision(entry.revision), entry, batch)


@step("deliver to sinks", retries=2)
def deliver_batches(context: PipelineContext) -> list[SinkFailure]:
    """Deliver every committed batch that some sink has yet to get."""
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
