"""Predictions for a batch: ask the model, read its answers, and fall back where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.inference.answers import Answers, answers_for
from flywheel.inference.breaker import Gate
from flywheel.inference.client import ModelClient
from flywheel.inference.fallback import Scored, apply_fallback
from flywheel.inference.requests import ChunkResult
from flywheel.manifest.pipeline import Pipeline
from flywheel.registry.card import ModelCard


@dataclass(frozen=True)
class Target:
    """The model that is asked: a registered version, or (None) the one its server chooses."""

    model_id: str
    version: int | None
    card: ModelCard | None

    @property
    def requested_version(self) -> str:
        """The version as the protocol writes it."""
        return "" if self.version is None else str(self.version)


def predict(
    rows: pl.DataFrame,
    matrix: npt.NDArray[np.float64],
    client: ModelClient,
    breaker: Gate,
    target: Target,
    pipeline: Pipeline,
    last_known: pl.DataFrame | None = None,
) -> Scored:
    """Score a batch.

    Parameters
    ----------
    rows
        Prepared rows.
    matrix
        The same rows as the model takes them, shape ``[rows, width]``.
    last_known
        See ``apply_fallback``; only ``fallback: use_last_known`` needs it.

    Raises
    ------
    InferenceError
        A request failed and the manifest's fallback is ``error``.
    """
    prediction, errors = ask(matrix, client, breaker, target, pipeline)
    return apply_fallback(rows, prediction, errors, pipeline.inference, last_known)


def ask(
    matrix: npt.NDArray[np.float64], client: ModelClient, breaker: Gate, target: Target, pipeline: Pipeline
) -> tuple[pl.Series, pl.Series]:
    """Return the prediction (a struct) of every row of ``matrix`` and why there is none; one of them is null."""
    answers = answers_for(pipeline, target.card)
    results = client.infer(target.model_id, target.requested_version, matrix, answers.expected, breaker)
    return _gather(results, answers)


def predict_nothing(
    rows: pl.DataFrame,
    target: Target,
    pipeline: Pipeline,
    reason: str,
    last_known: pl.DataFrame | None = None,
) -> Scored:
    """Give every row the manifest's fallback without asking the model, e.g. after drift with ``on_drift: fallback``."""
    answers = answers_for(pipeline, target.card)
    prediction, errors = _gather([ChunkResult(0, rows.height, None, reason)], answers)
    return apply_fallback(rows, prediction, errors, pipeline.inference, last_known)


def _gather(results: Sequence[ChunkResult], answers: Answers) -> tuple[pl.Series, pl.Series]:
    """Return every row's prediction (a struct) and error; exactly one of them is null."""
    empty = pl.DataFrame(schema=answers.schema)
    frames = [
        empty.clear(result.stop - result.start) if result.outputs is None else answers.fields(result.outputs)
        for result in results
    ]
    errors = [pl.repeat(result.error, result.stop - result.start, dtype=pl.String, eager=True) for result in results]
    error = pl.concat(errors).rechunk() if errors else pl.Series(dtype=pl.String)
    fields = pl.concat([empty, *frames]).to_struct("prediction")
    prediction = pl.select(pl.when(error.is_null()).then(fields)).to_series()
    return prediction, error
