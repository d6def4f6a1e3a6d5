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
    """
    rows = reference_rows(context, card, as_of)
    seen_to = candidate.evaluated.trained_to
    unseen = rows.filter(pl.col("event_time") > seen_to) if seen_to is not None else rows
    answers = answers_for(context.pipeline, card)
    outputs = score(candidate.evaluated.estimator, card, encode(unseen, candidate.evaluated.encoding))
    scored = unseen.with_columns(answers.fields(outputs).to_struct(context.pipeline.inference.output_field))
    baseline = fit_baseline(rows, measured_features(context.pipeline), card.baseline_id, scored=scored, as_of=as_of)
    uri = baseline_uri(context, context.pipeline.inference.model_id, card.baseline_id)
    context.storage.write(uri, baseline.to_json().encode())
    return baseline


def reference_rows(context: PipelineContext, card: ModelCard, as_of: datetime) -> pl.DataFrame:
    """Return the features of every record of the time that a model learned from, as known at ``as_of``."""
    names = ["event_time", "sample_key", *record_schema(context.pipeline).names()]
    parts = [bootstrap_rows(context, as_of).select(names)]
    if card.trained_from is not None and card.trained_to is not None:
        table = context.tables.predictions
        logged = table.read(
            table.files(dates=(card.trained_from.date(), card.trained_to.date())), [*names, "predicted_at"]
        )
        in_time = pl.col("event_time").is_between(card.trained_from, card.trained_to)
        parts.append(logged.filter(in_time, pl.col("predicted_at") <= as_of).select(names))
    return pl.concat(parts, how="vertical_relaxed").sort("sample_key").head(_MAX_ROWS)
