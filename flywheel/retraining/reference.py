"""Freezes the baseline of a new model version: what its features and its answers looked like when it was trained."""

from __future__ import annotations

import hashlib
from datetime import datetime

import polars as pl

from flywheel.context import PipelineContext
from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.measured import measured_features, sliced_by
from flywheel.manifest.schema import record_schema
from flywheel.monitoring.reference import baseline_uri
from flywheel.monitoring.sample import write_reference_sample
from flywheel.registry.card import ModelCard
from flywheel.retraining.answers import learned_from, reference_answers
from flywheel.retraining.rows import bootstrap_rows
from flywheel.training.train import Candidate

# A bounded, uniform sample of a long log: the edges of 100 bins move by less than a tenth of a percent of the rows.
_MAX_ROWS = 1_000_000


def baseline_id(context: PipelineContext, key: str) -> str:
    """Name the baseline of the version that the retrain ``key`` makes.

    It is short, since it is part of every drift check's id, and it differs for every key.
    """
    return f"{context.pipeline.inference.model_id}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


def make_baseline(context: PipelineContext, candidate: Candidate, card: ModelCard, as_of: datetime) -> Baseline:
    """Freeze the baseline of a candidate and store it, and before it a sample of its rows where checks take one.

    The features' reference is every row of the time that the model learned from, labelled or not, since an export is
    sampled; the answers' is ``reference_answers``.
    """
    known = known_rows(context, as_of)
    rows = known.filter(learned_from(candidate.model)).sort("sample_key").head(_MAX_ROWS)
    scored = reference_answers(context.pipeline, candidate, card, known)
    write_reference_sample(context, card.baseline_id, rows)
    drift = context.pipeline.drift
    baseline = fit_baseline(
        rows,
        measured_features(context.pipeline),
        card.baseline_id,
        scored=scored,
        as_of=as_of,
        slices=sliced_by(context.pipeline),
        seasonal=drift.seasonal if drift else None,
    )
    uri = baseline_uri(context, context.pipeline.inference.model_id, card.baseline_id)
    context.storage.write(uri, baseline.to_json().encode())
    return baseline


def known_rows(context: PipelineContext, as_of: datetime) -> pl.DataFrame:
    """Return the features of every record that the pipeline had seen by ``as_of``, the bootstrap's included."""
    names = ["event_time", "sample_key", *record_schema(context.pipeline).names()]
    table = context.tables.predictions
    logged = table.read(table.files(), [*names, "predicted_at"]).filter(pl.col("predicted_at") <= as_of)
    return pl.concat([bootstrap_rows(context, as_of).select(names), logged.select(names)], how="vertical_relaxed")
