"""Training export and training: the end of the loop."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.fields import MOST, Duration, Fraction, Moment, Name, Rate, Spec
from flywheel.manifest.jsonpath import JsonPath

Partition = Literal["date", "model_version", "label", "variant"]
STRATEGIES_OF = {
    "rate": ("random",),
    "positive_rate": ("stratified", "hard_negative"),
    "negative_rate": ("stratified", "hard_negative"),
}
GATE_METRICS = {
    "classification": ("log_loss", "auc", "average_precision", "accuracy"),
    "regression": ("rmse", "mae"),
    "anomaly": ("auc", "average_precision"),
}


def _default_partitions() -> list[Partition]:
    return ["date"]


class Sampling(Spec):
    """Which labelled rows are exported; every row's weight undoes it.

    ``random`` keeps a share of all, ``stratified`` a share of each class, ``hard_negative`` also every negative that
    the model scored high, ``reservoir`` a fixed number. A row is kept or not by its id alone, so every export agrees.
    """

    strategy: Literal["all", "random", "stratified", "hard_negative", "reservoir"] = Field(
        default="all", description="Of the labelled rows: see above"
    )
    rate: Rate = Field(default=1.0, description="random: the share that is kept")
    positive_rate: Rate = Field(default=1.0, description="stratified, hard_negative: share of positives kept")
    negative_rate: Rate = Field(default=1.0, description="stratified, hard_negative: share of (easy) negatives kept")
    hard_threshold: Fraction = Field(default=0.5, description="hard_negative: negatives scored above it are all kept")
    size: int | None = Field(default=None, ge=1, le=MOST, description="reservoir: rows kept")
    positive_label: str | None = Field(default=None, description="Default: training.target, else the first label rule")

    @model_validator(mode="after")
    def _reservoir_has_a_size(self) -> Self:
        if (self.strategy == "reservoir") != (self.size is not None):
            raise ValueError("`strategy: reservoir` and `size` need each other")
        return self

    @model_validator(mode="after")
    def _nothing_that_is_ignored(self) -> Self:
        for name, strategies in STRATEGIES_OF.items():
            if self.strategy not in strategies and getattr(self, name) != type(self).model_fields[name].default:
                belongs = " or ".join(strategies)
                raise ValueError(f"{name} means nothing with `strategy: {self.strategy}`; it belongs to {belongs}")
        return self


class ExportConfig(Spec):
    """Labelled rows as Parquet for training."""

    destination_uri: str = Field(description="A folder, local or s3://")
    format: Literal["parquet"] = "parquet"
    partition_by: list[Partition] = Field(default_factory=_default_partitions)
    sampling: Sampling = Sampling()
    min_confidence: Fraction = Field(default=0.0, description="Labels less sure than this are left out")
    min_rows: int = Field(default=1, ge=1, le=MOST, description="The gate refuses an export with fewer rows")


class Bootstrap(Spec):
    """Labelled history that the first champion is trained on."""

    source: Name = Field(description="The Source of the history")
    label_field: JsonPath | None = Field(default=None, description="Not needed for `task: anomaly`")
    until: Moment | None = Field(default=None, description="Only records with an event time before this")


class Gate(Spec):
    """The candidate must beat the champion by at least ``min_gain`` on the hold-out."""

    metric: Literal["auc", "log_loss", "accuracy", "rmse", "mae", "average_precision"] = "log_loss"
    min_gain: float = Field(default=0.0, description="Smallest gain, in the metric's unit")


class TrainingConfig(Spec):
    """How a model is made from an export, and what it must show before it serves.

    The gate's default metric is log_loss for a classification, rmse for a regression and auc for an anomaly.
    """

    task: Literal["classification", "regression", "anomaly"]
    algorithm: Literal["hist_gradient_boosting", "random_forest", "sgd", "isolation_forest"]
    parameters: dict[str, float | int | str | bool | None] = Field(
        default_factory=dict, description="Of the scikit-learn estimator"
    )
    target: str | None = Field(default=None, description="classification: the positive label")
    holdout: Duration = Field(default=timedelta(days=7), description="The newest labelled rows, kept for evaluation")
    refit: bool = Field(default=True, description="After passing the gate, fit once more with the hold-out included")
    gate: Gate = Gate()
    promotion: Literal["auto", "review"] = Field(
        default="auto", description="review: a person approves what passed the gate"
    )
    min_rows: int = Field(default=1000, ge=10, le=MOST, description="Labelled rows that a retrain needs")
    bootstrap: Bootstrap | None = None
    random_state: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of everything random in training")

    @model_validator(mode="before")
    @classmethod
    def _default_metric(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(gate := value.get("gate", {}), dict):
            return value
        metrics = GATE_METRICS.get(str(value.get("task")))
        return {**value, "gate": {"metric": metrics[0], **gate}} if metrics else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.task == "anomaly") != (self.algorithm == "isolation_forest"):
            raise ValueError("`task: anomaly` and `algorithm: isolation_forest` need each other")
        if self.task == "regression" and self.target is not None:
            raise ValueError("a regression has no target: it learns the label itself")
        if self.task == "classification" and self.target is None:
            raise ValueError("a classification needs its target: the positive label")
        metrics = GATE_METRICS[self.task]
        if self.gate.metric not in metrics:
            raise ValueError(f"the gate's {self.gate.metric} does not measure a {self.task}: {', '.join(metrics)}")
        if self.task != "anomaly" and self.bootstrap and self.bootstrap.label_field is None:
            raise ValueError(f"the bootstrap of a {self.task} needs its label_field")
        return self
