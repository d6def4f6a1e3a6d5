"""Fits a model on training rows: every row counts by its label's confidence times its sampling weight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.errors import FlywheelError, ManifestError
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.training import TrainingConfig
from flywheel.records.encode import Encoding, encode, learn_encoding
from flywheel.registry.loading import LoadedModel
from flywheel.training.estimators import LINEAR_STEP, build_estimator

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FittedModel:
    """A fitted estimator and what is needed to feed it.

    Attributes
    ----------
    task
        classification, regression or anomaly.
    classes
        Labels in the order of the probabilities; empty unless this is a classification.
    target
        The positive label, None for a regression.
    rows, trained_from, trained_to
        How many rows it was fitted on, and their first and last event time.
    """

    estimator: Any
    encoding: Encoding
    task: str
    classes: list[str]
    target: str | None
    rows: int
    trained_from: datetime | None
    trained_to: datetime | None

    @classmethod
    def of(cls, loaded: LoadedModel) -> Self:
        """Return a registered model, as its card describes it."""
        card = loaded.registered.card
        return cls(
            estimator=loaded.model,
            encoding=card.encoding,
            task=card.task,
            classes=card.classes,
            target=card.target,
            rows=card.rows,
            trained_from=card.trained_from,
            trained_to=card.trained_to,
        )

    def to_bytes(self) -> bytes:
        """Return the estimator as a skops file, which holds no code."""
        import skops.io

        data: bytes = skops.io.dumps(self.estimator)
        return data


def fit(rows: pl.DataFrame, pipeline: Pipeline, training: TrainingConfig) -> FittedModel:
    """Fit the manifest's algorithm on ``rows``.

    Parameters
    ----------
    rows
        The input features, ``event_time`` and, unless the task is anomaly, ``label`` (never null); ``confidence`` and
        ``weight`` where there are any (default 1).

    Raises
    ------
    ManifestError
        A parameter that the algorithm does not have or does not take.
    """
    encoding = learn_encoding(pipeline.input_features, rows)
    estimator = build_estimator(training)
    matrix = encode(rows, encoding)
    # A column without one value would stop gradient boosting; as a constant it is never split on.
    matrix[:, np.isnan(matrix).all(axis=0)] = 0.0
    _fit(estimator, matrix, rows, training)
    return FittedModel(
        estimator=estimator,
        encoding=encoding,
        task=training.task,
        classes=[str(label) for label in estimator.classes_] if training.task == "classification" else [],
        target=None if training.task == "regression" else training.target or pipeline.positive_label,
        rows=rows.height,
        trained_from=_time(rows["event_time"].min()),
        trained_to=_time(rows["event_time"].max()),
    )


def row_weights(rows: pl.DataFrame, task: str) -> FloatArray:
    """Return what each row counts: ``weight``, times ``confidence`` unless no label is learned from.

    >>> row_weights(pl.DataFrame({"confidence": [0.5, 1.0], "weight": [20.0, 1.0]}), "classification")
    array([10.,  1.])
    """
    names = ["weight"] if task == "anomaly" else ["weight", "confidence"]
    weights = np.ones(rows.height)
    for name in names:
        if name in rows.columns:
            weights = weights * rows[name].to_numpy()
    return weights


def numbers(labels: pl.Series) -> FloatArray:
    """Return a regression's labels as numbers.

    Raises
    ------
    FlywheelError
        A label is no finite number.
    """
    values = labels.cast(pl.Float64, strict=False)
    wrong = labels.filter(~values.is_finite().fill_null(value=False))
    if not wrong.is_empty():
        raise FlywheelError(
            f"{wrong.len()} of {labels.len()} labels are no numbers, e.g. {wrong[0]!r}; a regression learns numbers",
            state="nothing was trained",
            next_step="correct feedback.labels in the manifest",
        )
    return values.to_numpy()


def _fit(estimator: Any, matrix: FloatArray, rows: pl.DataFrame, training: TrainingConfig) -> None:
    from sklearn.utils._param_validation import InvalidParameterError

    name = f"{LINEAR_STEP}__sample_weight" if training.algorithm == "sgd" else "sample_weight"
    weights = {name: row_weights(rows, training.task)}
    targets = [] if training.task == "anomaly" else [_targets(rows["label"], training)]
    try:
        estimator.fit(matrix, *targets, **weights)
    except InvalidParameterError as error:
        raise ManifestError(
            f"training.parameters ({training.algorithm}): {error}",
            state="nothing was trained",
            next_step="correct the manifest, then flywheel apply -f",
        ) from error


def _targets(labels: pl.Series, training: TrainingConfig) -> npt.NDArray[Any]:
    if training.task == "regression":
        return numbers(labels)
    return labels.cast(pl.String).to_numpy().astype(np.str_)


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
