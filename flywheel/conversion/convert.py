"""Converts a fitted model, and keeps the conversion only if it answers as the model does, to the last bit.

Less would not do: a model of few trees has few different scores, which are edges of its baseline's bins, and a score
that is off by one bit is counted in another bin.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from flywheel.conversion.ensembles import ensemble_of
from flywheel.conversion.probes import probes
from flywheel.conversion.trees import Floats
from flywheel.registry.card import OnnxFile
from flywheel.serving.onnx_runtime import missing_package, open_session
from flywheel.serving.scorers import EstimatorScorer, OnnxScorer

_log = logging.getLogger("flywheel.training")


@dataclass(frozen=True)
class Conversion:
    """A model's trees as an ONNX file, and what the card says of it; or why there is none."""

    data: bytes | None
    file: OnnxFile | None
    refusal: str


def convert(estimator: Any, task: str, rows: Floats) -> Conversion:
    """Convert a fitted estimator, and compare both forms on rows and at its splits.

    Whatever goes wrong, the model itself is fit to serve: it is no reason for a retrain to fail.

    Parameters
    ----------
    rows
        Encoded rows that the model learned from, ``[n, width]``.
    """
    missing = missing_package("onnx", "onnxruntime")
    if missing is not None:
        return Conversion(None, None, missing)
    try:
        return _compared(estimator, task, rows)
    except Exception as error:  # the two libraries have errors of their own for what they can't convert or read
        _log.info("no ONNX form of the model: %s", error)
        return Conversion(None, None, f"{error}")


def _compared(estimator: Any, task: str, rows: Floats) -> Conversion:
    from flywheel.conversion.graph import to_onnx

    ensemble = ensemble_of(estimator)
    data = to_onnx(ensemble, int(estimator.n_features_in_))
    matrix = probes(rows, ensemble)
    model = EstimatorScorer(estimator, task)
    expected, found = model.score(matrix), OnnxScorer(open_session(data), model).score(matrix)
    for name, values in expected.items():
        if not np.array_equal(values, found[name], equal_nan=True):
            wrong = int(np.any(np.atleast_2d((values != found[name]).T), axis=0).sum())
            raise ValueError(f"its ONNX form answers {wrong} of {len(matrix)} rows otherwise")
    return Conversion(data, OnnxFile(sha256=hashlib.sha256(data).hexdigest(), compared=len(matrix)), "")
