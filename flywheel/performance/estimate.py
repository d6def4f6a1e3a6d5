"""What a window's metrics should be, before there are labels.

Classification: calibrated scores tell how often they are right, and so every metric that is to be expected ("CBPE" of
NannyML, confidence-based performance estimation). Regression: a model of the loss itself, learned where labels are
known ("DLE" of NannyML, direct loss estimation). Both are blind to concept drift, a change of what the label is of the
same record; that only labels show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from flywheel.manifest.features import Feature
from flywheel.performance.delays import Floats
from flywheel.performance.metrics import Booleans, ClassRows
from flywheel.performance.truth import Task
from flywheel.records.encode import Encoding, encode, learn_encoding

# Fewer labels calibrate nothing; more than the second number say nothing more.
LEAST_LABELS, MOST_ROWS = 200, 20_000


def expected_metrics(
    task: Task, closed: pl.DataFrame, window: pl.DataFrame, features: Sequence[Feature]
) -> dict[str, float]:
    """Return the metrics expected of ``window``'s predictions, labelled or not; empty where nothing can be said.

    Parameters
    ----------
    closed
        Labelled rows of closed windows before this one: of the same model version, or, where it has too few, of all.
    features
        The model's input features, which both have as columns for a regression.
    """
    learned = _newest(closed)
    if learned.height < LEAST_LABELS or window.is_empty():
        return {}
    if task.kind == "regression":
        return _expected_loss(learned, _thinned(window), learn_encoding(features, learned))
    return _expected_of_scores(task, learned, _thinned(window))


def _newest(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.top_k(MOST_ROWS, by="event_time")


def _thinned(rows: pl.DataFrame) -> pl.DataFrame:
    """A sample that is the same in every run."""
    return rows.bottom_k(MOST_ROWS, by="sample_key")


def _expected_of_scores(task: Task, closed: pl.DataFrame, window: pl.DataFrame) -> dict[str, float]:
    truth = (closed["label"] == task.target).to_numpy()
    if truth.all() or not truth.any():
        return {}
    chance = _calibrated(task.answers(closed), truth, closed["confidence"].to_numpy(), task.answers(window))
    says_target = _says_target(task, window)
    # Each row stands for two: the one that is the target, with its chance, and the one that is not.
    both = ClassRows(
        truth=np.repeat([True, False], window.height),
        score=np.tile(task.answers(window), 2),
        is_right=np.concatenate([says_target, ~says_target]),
    )
    metrics = {name: float(value) for name, value in both.metrics(np.concatenate([chance, 1 - chance])).items()}
    if task.kind == "classification" and closed["label"].n_unique() > 2:
        del metrics["accuracy"]  # a chance of the target does not tell the other classes apart
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _calibrated(scores: Floats, truth: Booleans, weights: Floats, asked: Floats) -> Floats:
    """P(target | score), by isotonic regression (Zadrozny and Elkan, 2002)."""
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(scores, truth.astype(np.float64), sample_weight=weights)
    chance: Floats = model.predict(asked)
    return chance


def _says_target(task: Task, rows: pl.DataFrame) -> Booleans:
    output = rows["output"].struct
    said = output.field("is_anomaly") if task.kind == "anomaly" else output.field("label") == task.target
    found: Booleans = said.fill_null(value=False).to_numpy()
    return found


def _expected_loss(closed: pl.DataFrame, window: pl.DataFrame, encoding: Encoding) -> dict[str, float]:
    """Gradient boosting of the squared and the absolute error on features and prediction."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    error = (closed["output"].struct.field("value") - closed["label"]).to_numpy()
    known, asked = _inputs(closed, encoding), _inputs(window, encoding)
    weights = closed["confidence"].to_numpy()
    losses = []
    for loss in (error**2, np.abs(error)):
        model = HistGradientBoostingRegressor(max_iter=60, min_samples_leaf=40, random_state=0)
        losses.append(float(np.clip(model.fit(known, loss, sample_weight=weights).predict(asked), 0, None).mean()))
    return {"rmse": losses[0] ** 0.5, "mae": losses[1]}


def _inputs(rows: pl.DataFrame, encoding: Encoding) -> Floats:
    matrix = encode(rows, encoding)
    matrix[:, np.isnan(matrix).all(axis=0)] = 0.0
    return np.column_stack([matrix, rows["output"].struct.field("value").to_numpy()])
