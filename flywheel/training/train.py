"""One retrain, from training rows to a decision; the caller registers what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from flywheel.conversion.convert import Conversion, convert
from flywheel.errors import ManifestError
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.training import TrainingConfig
from flywheel.records.encode import encode
from flywheel.registry.card import ModelCard
from flywheel.registry.loading import LoadedModel
from flywheel.training.evaluate import Evaluation, evaluate
from flywheel.training.fit import FittedModel, fit
from flywheel.training.gate import GateDecision, decide
from flywheel.training.holdout import NotEnoughData, Split, shortfall, split_by_time
from flywheel.training.importance import permutation_importance


@dataclass(frozen=True)
class Candidate:
    """A trained model and how it did.

    Attributes
    ----------
    model
        What would serve: fitted once more with the hold-out if it passed and the manifest says ``refit``.
    evaluated
        The candidate before that: what ``evaluation`` is about.
    evaluation, champion
        How it and the champion did on the same hold-out.
    importance
        What each feature is worth to it there; empty unless the manifest weighs drift by it.
    conversion
        ``model`` in the form that the model server answers from.
    """

    model: FittedModel
    evaluated: FittedModel
    evaluation: Evaluation
    champion: Evaluation | None
    decision: GateDecision
    importance: dict[str, float]
    conversion: Conversion


def train_candidate(rows: pl.DataFrame, pipeline: Pipeline, champion: LoadedModel | None) -> Candidate | NotEnoughData:
    """Train a candidate on all but the newest rows, and compare it with the champion on those.

    Parameters
    ----------
    rows
        Training rows: the input features, ``event_time`` and ``label``, with ``confidence`` and ``weight`` where there
        are any. Rows without a label are left out, unless the task is anomaly.
    champion
        The model to beat, None for a pipeline's first.

    Raises
    ------
    ManifestError
        The pipeline has no training section, or its parameters are wrong.
    """
    training = require_training(pipeline)
    usable = rows if training.task == "anomaly" else rows.filter(pl.col("label").is_not_null())
    ordered = usable.sort("event_time", *(name for name in ("prediction_id",) if name in usable.columns))
    split = split_by_time(ordered, training.holdout)
    missing = shortfall(split, training)
    if missing is not None:
        return missing
    return _compare(ordered, split, pipeline, training, FittedModel.of(champion) if champion else None)


def card_of(
    candidate: Candidate, training: TrainingConfig, as_of: datetime, baseline_id: str, export_id: str | None
) -> ModelCard:
    """Return the card that a candidate is registered with."""
    model = candidate.model
    return ModelCard(
        task=training.task,
        algorithm=training.algorithm,
        parameters=training.parameters,
        encoding=model.encoding,
        classes=model.classes,
        target=model.target,
        rows=model.rows,
        trained_from=model.trained_from,
        trained_to=model.trained_to,
        as_of=as_of,
        export_id=export_id,
        baseline_id=baseline_id,
        correction=candidate.evaluation.correction,
        importance=candidate.importance,
        onnx=candidate.conversion.file,
        onnx_refusal=candidate.conversion.refusal,
    )


def require_training(pipeline: Pipeline) -> TrainingConfig:
    """Return the pipeline's training section; ManifestError where it has none."""
    if pipeline.training is None:
        raise ManifestError(
            f"pipeline {pipeline.name!r} does not say how its model is trained",
            state="nothing was trained",
            next_step=f"add spec.training, or apply a document of kind Training named {pipeline.name}",
        )
    return pipeline.training


def _compare(
    rows: pl.DataFrame, split: Split, pipeline: Pipeline, training: TrainingConfig, champion: FittedModel | None
) -> Candidate:
    model = fit(split.train, pipeline, training)
    evaluation = evaluate(model, split.holdout)
    theirs = evaluate(champion, split.holdout) if champion else None
    decision = decide(evaluation, theirs, training.gate)
    final = fit(rows, pipeline, training) if decision.passed and training.refit else model
    is_asked = pipeline.drift is not None and pipeline.drift.importance == "model"
    importance = permutation_importance(model, split.holdout) if is_asked else {}
    conversion = convert(final.estimator, training.task, encode(rows, final.encoding))
    return Candidate(final, model, evaluation, theirs, decision, importance, conversion)
