"""Plans a micro-batch: which records, scored by which version of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from flywheel.context import PipelineContext
from flywheel.errors import FlywheelError
from flywheel.inference.client import ModelClient
from flywheel.inference.compatible import check_model
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.metadata.schema import DriftCheck
from flywheel.registry.version import RegisteredModel
from flywheel.sources.base import Progress, Source


@dataclass(frozen=True)
class Foreseen:
    """A batch that is not planned yet, and how far into the source those before it have come."""

    entry: LedgerEntry[InferencePlan]
    progress: Mapping[str, Progress]


def plan_batch(
    context: PipelineContext,
    source: Source,
    client: ModelClient,
    as_of: datetime,
    foreseen: Foreseen | None = None,
) -> LedgerEntry[InferencePlan] | None:
    """Return the batch to score next: one left unfinished, a new one, or None when there are no new records.

    A new one is planned as it was ``foreseen`` a moment ago, unless something else has been planned since.

    Raises
    ------
    ModelMismatchError
        The model expects other features than the manifest gives it; nothing has been planned.
    AccessError
        The model server refuses us, or can't be trusted; nobody gets a fallback for that, and nothing is planned.
    """

    def make_plan(progress: Mapping[str, Progress]) -> InferencePlan | None:
        if foreseen is not None and foreseen.progress == progress:
            return foreseen.entry.plan
        return make_inference_plan(context, source, client, as_of, progress)

    client.require_access()
    return context.records.next_batch(make_plan, revision=context.revision, as_of=as_of)


def make_inference_plan(
    context: PipelineContext, source: Source, client: ModelClient, as_of: datetime, progress: Mapping[str, Progress]
) -> InferencePlan | None:
    """Return what comes after ``progress`` in the source, to be scored by the present champion; None: nothing."""
    slices = source.plan(progress, as_of, context.pipeline.spec.batch.max_rows)
    if not slices:
        return None
    champion = find_champion(context, client)
    return InferencePlan(
        slices=slices,
        model_id=context.pipeline.inference.model_id,
        model_version=champion.version if champion else None,
        serve_fallback=_drift_says_fallback(context, as_of),
    )


def find_champion(context: PipelineContext, client: ModelClient) -> RegisteredModel | None:
    """Return the registered champion after checking that it takes this manifest's features.

    None means that the endpoint serves a model of its own, which is then checked by its metadata.
    """
    inference = context.pipeline.inference
    champion = context.registry.champion(inference.model_id)
    if champion is not None:
        check_model(None, champion.card, context.pipeline)
    elif context.pipeline.training is not None:
        raise FlywheelError(
            f"model {inference.model_id!r} has no champion yet",
            state="no batch was planned",
            next_step=f"flywheel run retrain -p {context.name}  (trains the first champion on training.bootstrap)",
        )
    else:
        check_model(client.info(inference.model_id), None, context.pipeline)
    return champion


def _drift_says_fallback(context: PipelineContext, as_of: datetime) -> bool:
    """Whether the newest drift check that was made by ``as_of`` asked for the fallback."""
    drift = context.pipeline.drift
    if drift is None or drift.mode == "shadow" or drift.on_drift != "fallback":
        return False
    newest = (
        select(DriftCheck.action)
        .where(DriftCheck.pipeline == context.name, DriftCheck.as_of <= as_of, DriftCheck.outcome != "not_enough_data")
        .order_by(DriftCheck.as_of.desc(), DriftCheck.last_batch.desc())
        .limit(1)
    )
    with context.database.session() as session:
        return session.scalar(newest) == "fallback"
