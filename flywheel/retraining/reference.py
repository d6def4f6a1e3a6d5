"""Freezes the baseline of a new model version: what its features and its answers looked like when it was trained."""

from __future__ import annotations

import hashlib
from datetime import datetime

import polars as pl

from flywheel.context import PipelineContext
from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.measured import measured_features
from flywheel.inference.answers import answers_for
from flywheel.manifest.schema import record_schema
from flywheel.monitoring.reference import baseline_uri
from flywheel.records.encode import encode
from flywheel.registry.card import ModelCard
from flywheel.retraining.rows import bootstrap_rows
from flywheel.serving.scoring import score
from flywheel.training.train import Candidate

# A bounded, uniform sample of a long log: the edges of 100 bins move by less than a tenth of a percent of the rows.
_MAX_ROWS = 1_000_000


def baseline_id(context: PipelineContext, key: str) -> str:
    """Name the baseline of the version that the retrain ``key`` makes.

    It is short, since it is part of every drift check's id, and it differs for every key.
    """
    return f"{context.pipeline.inference.model_id}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"


def make_baseline(context: PipelineContext, candidate: Candidate, card: ModelCard, as_of: datetime) -> Baseline:
    """Freeze the baseline of a candidate and store it.

    The features' reference is every row of the time that the model learned from, labelled or not, since an export is
    sampled. The answers' reference is what the candidate said, before it was fitted once more, on rows it had not seen.
    An anomaly detector learns no labels that it could know by heart, and each fit has scores of its own: its reference
    is what the version that will serve says of all of them.
    """
    known = known_rows(context, as_of)
    rows = known.filter(_within(card.trained_from, card.trained_to)).sort("sample_key").head(_MAX_ROWS)
    scored = _scored(context, candidate, card, rows if card.task == "anomaly" else known)
    baseline = fit_baseline(rows, measured_features(context.pipeline), card.baseline_id, scored=scored, as_of=as_of)
    uri = baseline_uri(context, context.pipeline.inference.model_id, card.baseline_id)
    context.storage.write(uri, baseline.to_json().encode())
    return baseline


def known_rows(context: PipelineContext, as_of: datetime) -> pl.DataFrame:
    """Return the features of every record that the pipeline had seen by ``as_of``, the bootstrap's included."""
    names = ["event_time", "sample_key", *record_schema(context.pipeline).names()]
    table = context.tables.predictions
    logged = table.read(table.files(), [*names, "predicted_at"]).filter(pl.col("predicted_at") <= as_of)
    return pl.concat([bootstrap_rows(context, as_of).select(names), logged.select(names)], how="vertical_relaxed")


def _scored(context: PipelineContext, candidate: Candidate, card: ModelCard, known: pl.DataFrame) -> pl.DataFrame:
    """What the candidate says about the rows after those it learned from; about all where there are none."""
    model = candidate.model if card.task == "anomaly" else candidate.evaluated
    unseen = known.filter(pl.col("event_time") > model.trained_to) if model.trained_to else known
    rows = known if unseen.is_empty() else unseen
    fields = answers_for(context.pipeline, card).fields(score(model.estimator, card, encode(rows, model.encoding)))
    return rows.with_columns(fields.to_struct(context.pipeline.inference.output_field))


def _within(first: datetime | None, last: datetime | None) -> pl.Expr:
    return pl.lit(True) if first is None or last is None else pl.col("event_time").is_between(first, last)
