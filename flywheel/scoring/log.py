"""Writes a scored batch to the lake and commits it: quarantine, profiles, and the predictions last."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from flywheel.context import PipelineContext
from flywheel.inference.fallback import OK
from flywheel.metadata.ledger import InferencePlan, LedgerEntry
from flywheel.monitoring.profiles import profile_rows
from flywheel.monitoring.reference import find_baseline
from flywheel.scoring.staging import ScoredBatch


def log_batch(context: PipelineContext, entry: LedgerEntry[InferencePlan], batch: ScoredBatch) -> Mapping[str, int]:
    """Append a batch to the pipeline's tables and mark it committed; return what was counted.

    Every table takes the batch exactly once, so this can be called again after a crash at any point.
    """
    app = f"{context.name}/records"
    tables = context.tables
    tables.quarantine.append_once(_dated(batch.quarantined, fallback_to=entry), app, entry.number)
    baseline = find_baseline(context, entry.plan.model_id, entry.plan.model_version)
    if baseline is not None:
        profiles = profile_rows(batch.predictions, baseline, entry.number, entry.as_of)
        tables.profiles.append_once(profiles, app, entry.number)
    tables.predictions.append_once(_dated(batch.predictions, fallback_to=entry), app, entry.number)
    counts = count_rows(batch)
    context.records.commit(entry.number, counts)
    return counts


def count_rows(batch: ScoredBatch) -> dict[str, int]:
    """Count a batch's rows: all records, those scored, those answered by a fallback, those quarantined.

    Dead letters are those of the quarantined that no rule refused: the model gave no prediction for them.
    """
    scored = batch.predictions.height
    ok = int((batch.predictions["status"] == OK).sum())
    quarantined = batch.quarantined.height
    dead = batch.quarantined["features"].count()
    return {
        "records": scored + quarantined,
        "ok": ok,
        "fallback": scored - ok,
        "quarantined": quarantined,
        "dead_letters": dead,
    }


def _dated(rows: pl.DataFrame, fallback_to: LedgerEntry[InferencePlan]) -> pl.DataFrame:
    """Add the partition: the date of the row's event time, or of the batch where it has none."""
    day = pl.col("event_time").dt.date().fill_null(fallback_to.as_of.date())
    return rows.with_columns(date=day)
