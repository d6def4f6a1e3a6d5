"""What a model answers, as the tensors of the protocol."""

from __future__ import annotations

from typing import Any

import numpy as np

from flywheel.inference.model_info import TensorInfo
from flywheel.inference.tensors import Array
from flywheel.registry.card import ModelCard
from flywheel.serving.isolation_forest import samples_score, scores_at

INPUT_NAME = "features"


def input_tensor(card: ModelCard) -> TensorInfo:
    """The tensor a model takes: a row for each record, a column for each of ``card.encoding.columns``."""
    return TensorInfo(INPUT_NAME, "FP64", (-1, card.encoding.width))


def output_tensors(card: ModelCard) -> list[TensorInfo]:
    """The tensors a model answers, one row for each row it was given."""
    if card.task == "classification":
        return [TensorInfo("probabilities", "FP64", (-1, len(card.classes)))]
    if card.task == "anomaly":
        return [TensorInfo("score", "FP64", (-1,)), TensorInfo("is_anomaly", "BOOL", (-1,))]
    return [TensorInfo("value", "FP64", (-1,))]


def score(model: Any, task: str, matrix: Array) -> dict[str, Array]:
    """Ask an estimator about the rows of ``matrix``, shape ``[n, width]``.

    Returns
    -------
    dict
        Classification: ``probabilities`` [n, classes], in the order of the card's classes. Regression: ``value`` [n].
        Anomaly: ``is_anomaly`` [n] and ``score`` [n] in (0, 1], the s(x) of F. T. Liu, K. M. Ting, Z.-H. Zhou,
        "Isolation Forest" (ICDM 2008): 0.5 is ordinary, close to 1 is an anomaly.
    """
    if task == "classification":
        return {"probabilities": _as_float(model.predict_proba(matrix))}
    if task == "anomaly":
        forest = model.steps[-1][1] if hasattr(model, "steps") else model
        samples = samples_score(model, matrix) if forest is model else model.score_samples(matrix)
        return _anomaly(forest, _as_float(samples))
    return {"value": _as_float(model.predict(matrix))}


def score_from_sums(model: Any, task: str, sums: Array) -> dict[str, Array]:
    """Return what ``score`` returns, from the sums ``[n, targets]`` of the model's trees, to the last bit.

    It is the end of ``predict_proba``, ``predict`` and ``score_samples``, called with what comes before it.

    Parameters
    ----------
    model
        Histogram gradient boosting or an isolation forest, as ``flywheel.conversion.ensembles`` takes them.
    """
    if task == "classification":
        return {"probabilities": _as_float(model._loss.predict_proba(np.asfortranarray(sums)))}
    if task == "anomaly":
        return _anomaly(model, scores_at(model, sums[:, 0]))
    return {"value": _as_float(model._loss.link.inverse(sums.ravel()))}


def _anomaly(forest: Any, samples: Array) -> dict[str, Array]:
    # predict() would score every row a second time; this is its definition.
    return {"score": -samples, "is_anomaly": samples - forest.offset_ < 0}


def _as_float(values: Any) -> Array:
    return np.ascontiguousarray(values, dtype=np.float64)
