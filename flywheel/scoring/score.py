"""Scores a planned batch: read its records, check them, ask the model, and fix the result."""

from __future__ import annotations

import polars as pl

from flywheel.context import PipelineContext
from flywheel.inference.breaker import CircuitBreaker
from flywheel.inference.client import ModelClient
from flywheel.inference.compatible import encoding_for
from flywheel.inference.fallback import Scored
from flywheel.inference.predict import Target, predict, predict_nothing
from flywheel.lake.tables import QUARANTINE, LakeTable
from flywheel.manifest.documents import SourceSpec
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.records.encode import encode
from flywheel.records.prepare import Prepared, needed_paths, prepare
from flywheel.records.records import Records
from flywheel.scoring.dead_letters import dead_letters, taken_out
from flywheel.scoring.last_known import last_predictions
from flywheel.scoring.logged import logged_ids
from flywheel.scoring.staging import ScoredBatch, read_staged, stage
from flywheel.sources.base import Source

FEED = "records"


def score_batch(
    context: PipelineContext,
    entry: LedgerEntry[InferencePlan],
    source: Source,
    spec: SourceSpec,
    client: ModelClient,
    draft: ScoredBatch | None = None,
) -> ScoredBatch:
    """Return the scored rows of a planned batch: those staged before, else its draft or freshly scored ones, staged.

    Raises
    ------
    InferenceError
        The model did not answer and the manifest says ``fallback: error``; the batch stays planned.
    """
    staged = read_staged(context, entry.number)
    if staged is not None:
        return staged
    return stage(context, draft or score_records(context, entry, source, spec, client))


def score_records(
    context: PipelineContext, entry: LedgerEntry[InferencePlan], source: Source, spec: SourceSpec, client: ModelClient
) -> ScoredBatch:
    """Return a batch's rows freshly scored; nothing is stored.

    Raises
    ------
    InferenceError
        The model did not answer and the manifest says ``fallback: error``.
    """
    pipeline = context.pipeline
    records = source.read(entry.plan.slices, needed_paths(pipeline, spec.event_time))
    prepared = drop_logged(context, records, prepare(records, pipeline, spec.event_time, entry.as_of), entry.number)
    scored = _predict(context, entry, prepared.rows, client)
    dead = dead_letters(records, prepared, scored.dead, pipeline)
    return ScoredBatch(
        number=entry.number,
        predictions=_prediction_rows(scored.rows, entry, context.tables.predictions),
        quarantined=_quarantine_rows([prepared.quarantined, dead], entry),
    )


def open_breaker(context: PipelineContext, client: ModelClient, model_id: str) -> CircuitBreaker:
    """Return the circuit breaker before a model on the server that ``client`` asks."""
    config = context.pipeline.inference.circuit_breaker
    longest = client.longest_seconds
    return CircuitBreaker(context.database, client.endpoint, model_id, config, longest_seconds=longest)


def drop_logged(context: PipelineContext, records: Records, prepared: Prepared, number: int) -> Prepared:
    """Move records whose id an earlier batch has logged to the quarantine; the log keeps the first prediction."""
    logged = logged_ids(context.tables.predictions, prepared.rows, number)
    again = prepared.rows["prediction_id"].is_in(logged["prediction_id"].implode())
    if not again.any():
        return prepared
    reasons = pl.repeat("duplicate id: an earlier batch has logged it already", int(again.sum()), eager=True)
    kept = prepared.kept.to_numpy().copy()
    kept[prepared.kept.arg_true().filter(again).to_numpy()] = False
    return Prepared(
        rows=prepared.rows.filter(~again),
        quarantined=pl.concat([prepared.quarantined, taken_out(records, prepared, again, reasons)]),
        kept=pl.Series(kept),
    )


def _predict(
    context: PipelineContext, entry: LedgerEntry[InferencePlan], rows: pl.DataFrame, client: ModelClient
) -> Scored:
    pipeline, plan = context.pipeline, entry.plan
    card = context.registry.card(plan.model_id, plan.model_version) if plan.model_version is not None else None
    target = Target(plan.model_id, plan.model_version, card)
    last_known = last_predictions(context, entry.number)
    if plan.serve_fallback:
        reason = "the newest drift check asks for the fallback (on_drift: fallback)"
        return predict_nothing(rows, target, pipeline, reason, last_known)
    encoding = encoding_for(pipeline, card)
    breaker = open_breaker(context, client, plan.model_id)
    return predict(rows, encode(rows, encoding), client, breaker, target, pipeline, last_known)


def _prediction_rows(rows: pl.DataFrame, entry: LedgerEntry[InferencePlan], table: LakeTable) -> pl.DataFrame:
    """Add what the batch knows about each of its rows, in the columns and types of the predictions table."""
    columns = {name: dtype for name, dtype in table.schema.items() if name != "date"}
    completed = rows.with_columns(
        predicted_at=pl.lit(entry.as_of),
        model_id=pl.lit(entry.plan.model_id),
        model_version=pl.lit(entry.plan.model_version, pl.Int64),
        variant=pl.lit("champion"),
        batch_id=pl.lit(entry.number),
    )
    return completed.select(columns.keys()).cast(columns)  # type: ignore[arg-type]


def _quarantine_rows(parts: list[pl.DataFrame], entry: LedgerEntry[InferencePlan]) -> pl.DataFrame:
    columns = {name: dtype for name, dtype in QUARANTINE.items() if name != "date"}
    together = pl.concat([pl.DataFrame(schema=columns), *parts], how="diagonal_relaxed")
    return together.with_columns(batch_id=pl.lit(entry.number), feed=pl.lit(FEED)).select(columns.keys()).cast(columns)  # type: ignore[arg-type]
