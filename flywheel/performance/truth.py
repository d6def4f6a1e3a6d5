"""A task's predictions beside the truth: which are right, by how much they are off, and what their lateness goes by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from flywheel.errors import FlywheelError
from flywheel.manifest.pipeline import Pipeline
from flywheel.performance.delays import Floats
from flywheel.performance.metrics import ClassRows, MeasuredRows, ValueRows
from flywheel.performance.weights import (
    LEAST_ARRIVED,
    LEAST_ARRIVED_OF_VALUES,
    Integers,
    class_strata,
    value_strata,
)


@dataclass(frozen=True)
class Task:
    """What a model answers: ``target`` is the positive label of a classification or an anomaly detector."""

    kind: Literal["classification", "regression", "anomaly"]
    target: str | None = None

    def usable(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Leave out what has no number to measure; a regression's label that is none counts as no label."""
        if self.kind != "regression":
            return rows.filter(pl.col("output").struct.field("score").is_finite())
        number = pl.col("label").cast(pl.Float64, strict=False)
        label = pl.when(number.is_finite()).then(number)
        return rows.filter(pl.col("output").struct.field("value").is_finite()).with_columns(label=label)

    def answers(self, rows: pl.DataFrame) -> Floats:
        """Return what the model answered: the score, or the value; shape (n,)."""
        found: Floats = rows["output"].struct.field("value" if self.kind == "regression" else "score").to_numpy()
        return found

    def beside_truth(self, labelled: pl.DataFrame) -> MeasuredRows:
        """Return labelled rows as the metrics take them."""
        output = labelled["output"].struct
        if self.kind == "regression":
            return ValueRows((output.field("value") - labelled["label"]).to_numpy())
        truth = (labelled["label"] == self.target).to_numpy()
        if self.kind == "anomaly":
            is_right = output.field("is_anomaly").fill_null(value=False).to_numpy() == truth
        else:
            is_right = (output.field("label") == labelled["label"]).fill_null(value=False).to_numpy()
        return ClassRows(truth, output.field("score").to_numpy(), is_right)

    @property
    def least_arrived(self) -> float:
        """The share of each stratum that must have been able to arrive for a row to be measured."""
        return LEAST_ARRIVED_OF_VALUES if self.kind == "regression" else LEAST_ARRIVED

    def strata(self, labelled: pl.DataFrame, max_delay: float) -> Integers:
        """Number what decides how late a label is: its class, or the bin of its value."""
        if self.kind != "regression":
            return class_strata(labelled["label"])
        closed = labelled.filter(pl.col("age") >= max_delay)["label"]
        return value_strata(labelled["label"].to_numpy(), closed.to_numpy())


def task_of(pipeline: Pipeline) -> Task:
    """Return what a pipeline's model answers.

    Raises
    ------
    FlywheelError
        Nothing says what its labels are to be compared with.
    """
    training = pipeline.training
    if training is None:
        raise FlywheelError(
            f"pipeline {pipeline.name!r} has no training section, so nothing says what its labels are compared with",
            state="nothing was measured",
            next_step="add spec.training with its task (and target) to the manifest, then flywheel apply -f",
        )
    target = None if training.task == "regression" else training.target or pipeline.positive_label
    return Task(training.task, target)
