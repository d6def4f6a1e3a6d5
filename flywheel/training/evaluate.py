"""Measures a model on labelled rows. Sampled rows count by their weight, so that the figures are those of all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.records.encode import encode
from flywheel.training.correction import Correction, correct_odds, correct_values, log_odds
from flywheel.training.fit import FittedModel, FloatArray, numbers, row_weights


@dataclass(frozen=True)
class Evaluation:
    """A model's figures on ``rows`` rows; for an anomaly detector those that have a label.

    ``metrics`` has auc, average_precision, log_loss and accuracy for a classification, and for an anomaly detector too
    where the rows have labels of both kinds (its score, in (0, 1], is then read as a probability); rmse and mae for a
    regression. ``correction`` is what the answers are off by on these rows; None for an anomaly detector.
    """

    rows: int
    metrics: dict[str, float]
    correction: Correction | None = None


def evaluate(model: FittedModel, rows: pl.DataFrame) -> Evaluation:
    """Measure ``model`` on ``rows``: features and label, with confidence and weight where there are any."""
    if model.task == "anomaly":
        known = _labelled(rows)
        return Evaluation(known.height, _anomaly_metrics(model, encode(known, model.encoding), known))
    matrix = encode(rows, model.encoding)
    if model.task == "regression":
        return _of_values(model, matrix, rows)
    return _of_classes(model, matrix, rows)


def score_metrics(truth: npt.NDArray[np.bool_], score: FloatArray, weights: FloatArray) -> dict[str, float]:
    """Return auc, average_precision and log_loss of a probability; empty unless ``truth`` has both values."""
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

    if truth.all() or not truth.any():
        return {}
    return {
        "auc": float(roc_auc_score(truth, score, sample_weight=weights)),
        "average_precision": float(average_precision_score(truth, score, sample_weight=weights)),
        "log_loss": float(log_loss(truth, score, sample_weight=weights, labels=[False, True])),
    }


def value_metrics(truth: FloatArray, value: FloatArray, weights: FloatArray) -> dict[str, float]:
    """Return the root mean squared error and the mean absolute error, in the label's unit."""
    error = value - truth
    return {
        "rmse": float(np.sqrt(np.average(error**2, weights=weights))),
        "mae": float(np.average(np.abs(error), weights=weights)),
    }


def _of_values(model: FittedModel, matrix: FloatArray, rows: pl.DataFrame) -> Evaluation:
    truth, value, weights = numbers(rows["label"]), model.estimator.predict(matrix), row_weights(rows, model.task)
    return Evaluation(rows.height, value_metrics(truth, value, weights), correct_values(value, truth, weights))


def _of_classes(model: FittedModel, matrix: FloatArray, rows: pl.DataFrame) -> Evaluation:
    probabilities = model.estimator.predict_proba(matrix)
    weights = row_weights(rows, model.task)
    labels = rows["label"].cast(pl.String).to_numpy()
    named = np.array(model.classes, dtype=object)[probabilities.argmax(axis=1)]
    position = model.classes.index(model.target) if model.target in model.classes else None
    score = np.zeros(rows.height) if position is None else probabilities[:, position]
    truth = labels == model.target
    metrics = {**score_metrics(truth, score, weights), "accuracy": float(np.average(named == labels, weights=weights))}
    return Evaluation(rows.height, metrics, correct_odds(log_odds(score), truth.astype(np.float64), weights))


def _anomaly_metrics(model: FittedModel, matrix: FloatArray, rows: pl.DataFrame) -> dict[str, float]:
    if rows.is_empty():
        return {}
    truth: npt.NDArray[Any] = rows["label"].cast(pl.String).to_numpy() == model.target
    # What an anomaly's label is worth is its confidence, though the model did not learn from it.
    weights = row_weights(rows, "classification")
    found = score_metrics(truth, -model.estimator.score_samples(matrix), weights)
    if not found:
        return {}
    flagged = model.estimator.predict(matrix) == -1
    return {**found, "accuracy": float(np.average(flagged == truth, weights=weights))}


def _labelled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("label").is_not_null()) if "label" in rows.columns else rows.clear()
