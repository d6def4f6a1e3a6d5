"""Asks of a window what its features show together: opt-in, since it takes rows where all else takes counts."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import polars as pl

from flywheel.context import PipelineContext
from flywheel.drift.baseline import Baseline
from flywheel.drift.domain_classifier import LEAST_ROWS, separate
from flywheel.drift.embedding import mean_shift
from flywheel.drift.joint import JointFinding
from flywheel.drift.measured import Measured
from flywheel.manifest.drift import DriftConfig
from flywheel.monitoring.sample import NoSampleError, reference_sample, sampled_features, window_sample
from flywheel.monitoring.window import Window


def ask_jointly(
    context: PipelineContext, config: DriftConfig, baseline: Baseline, window: Window
) -> list[JointFinding]:
    """Return what the manifest's joint questions find in a window, each by itself; those not asked say why."""
    if not config.asks_jointly or window.rows < config.fewest_rows:
        return []
    try:
        reference = reference_sample(context, baseline.id, config.joint_sample)
    except NoSampleError as error:
        return [_unasked(question, error.what) for question in _questions(config)]
    rows = window_sample(context, window.batches, config.joint_sample)
    sampled = sampled_features(context.pipeline)
    sides = _Sides(
        reference, rows, [each for each in sampled if reference.schema.get(each.name) == rows.schema[each.name]]
    )
    return [
        _of_classifier(question, sides, config) if question.test == "domain_classifier" else _of_mean(question, sides)
        for question in _questions(config)
    ]


@dataclass(frozen=True)
class _Sides:
    """Rows of the reference and of the window, and the features that both have."""

    reference: pl.DataFrame
    window: pl.DataFrame
    features: list[Measured]


def _questions(config: DriftConfig) -> list[JointFinding]:
    embeddings = [JointFinding(test="embedding", name=name, features=each) for name, each in config.embeddings.items()]
    if config.multivariate is None:
        return embeddings
    return [JointFinding(test="domain_classifier", name="multivariate"), *embeddings]


def _of_classifier(question: JointFinding, sides: _Sides, config: DriftConfig) -> JointFinding:
    # What the manifest only records must not act through the classifier.
    judged = [feature for feature in sides.features if config.weights.get(feature.name, 1.0) > 0]
    if not judged:
        return _unasked(question, "no feature that has a weight is in the sample of the reference")
    found = separate(sides.reference, sides.window, judged)
    if found is None:
        rows = f"{sides.reference.height:,} of the reference and {sides.window.height:,} of the window"
        return _unasked(question, f"{rows}; a classifier takes {LEAST_ROWS:,} of either")
    return question.model_copy(update={"value": found.auc, "p_value": found.p_value, "features": found.features})


def _of_mean(question: JointFinding, sides: _Sides) -> JointFinding:
    absent = [name for name in question.features if name not in {feature.name for feature in sides.features}]
    if absent:
        return _unasked(question, f"the sample of the reference lacks {', '.join(absent)}: the next retrain writes it")
    reference, window = (
        rows.select(question.features).fill_null(float("nan")).to_numpy() for rows in (sides.reference, sides.window)
    )
    found = mean_shift(reference, window)
    if found is None:
        return _unasked(question, "too few rows with all of its components")
    if not isfinite(found.distance):
        return _unasked(question, "a mean vector is 0 and has no direction")
    return question.model_copy(update={"value": found.distance, "p_value": found.p_value})


def _unasked(question: JointFinding, reason: str) -> JointFinding:
    return question.model_copy(update={"why_not": reason})
