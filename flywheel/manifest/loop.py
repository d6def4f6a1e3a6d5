"""The closing half of the loop: feedback, drift, training export and training."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.cel import CelText
from flywheel.manifest.fields import LONGEST, MOST, Duration, Fraction, Identifier, Moment, Name, Rate, Span, Spec
from flywheel.manifest.jsonpath import JsonPath

Measure = Literal["psi", "kl_divergence", "js_divergence", "ks", "missing_rate"]
Partition = Literal["date", "model_version", "label", "variant"]
Positive = Annotated[float, Field(gt=0)]
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


class LabelRule(Spec):
    """Which label an event means, and how sure that is."""

    event: str = Field(min_length=1, description="The event's name")
    label: str | int | float | bool | None = Field(default=None, description="The label itself, or give label_field")
    label_field: JsonPath | None = Field(default=None, description="Where the event carries the label itself")
    when: CelText | None = Field(
        default=None, description="CEL over the fields of `payload`; the first matching rule wins"
    )
    confidence: Rate = Field(default=1.0, description="The surer label wins; a row's weight in training")

    @model_validator(mode="after")
    def _one_label(self) -> Self:
        if (self.label is None) == (self.label_field is None):
            raise ValueError("needs exactly one of label and label_field")
        return self

    @property
    def label_text(self) -> str | None:
        """The label as the labels table holds it: text, with ``true`` and ``false`` as in the manifest."""
        if self.label is None:
            return None
        return str(self.label).lower() if isinstance(self.label, bool) else str(self.label)


class PayloadField(Spec):
    """A field of an event that rules may look at; a value that is not of its type counts as missing."""

    path: JsonPath
    type: Literal["string", "float", "integer", "boolean"] = "string"

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class FeedbackConfig(Spec):
    """Where the truth comes from, and how it finds its prediction."""

    source: Name = Field(description="The Source that events come from")
    join_key: JsonPath = Field(description="The prediction's id, in a record")
    event_key: JsonPath | None = Field(default=None, description="The prediction's id, in an event; default: join_key")
    event_field: JsonPath = Field(default=JsonPath("$.event"), description="The event's name, in an event")
    payload: dict[Identifier, PayloadField] = Field(
        default_factory=dict, description="What `when` may use, by name: a JSONPath into the event, or {path, type}"
    )
    max_delay_hours: float = Field(
        default=24,
        gt=0,
        le=LONGEST / timedelta(hours=1),
        description="An event that happens later than this after its record is late",
    )
    labels: list[LabelRule] = Field(min_length=1, description="The first rule that an event matches gives its label")

    @property
    def max_delay(self) -> timedelta:
        return timedelta(hours=self.max_delay_hours)


def _default_thresholds() -> dict[Measure, float]:
    # PSI alone misses a shift by half a standard deviation (0.237).
    return {"psi": 0.25, "kl_divergence": 0.1}


def _default_partitions() -> list[Partition]:
    return ["date"]


class DriftConfig(Spec):
    """What is compared with the baseline, over which window, and what happens when it differs."""

    mode: Literal["shadow", "blocking"] = Field(
        default="shadow", description="shadow measures and never acts; blocking acts as `on_drift` says"
    )
    baseline_uri: str | None = Field(default=None, description="A baseline that stands in for the champion's")
    window_size: int | None = Field(default=None, ge=1, le=MOST, description="Rows in the window")
    window: Duration | None = Field(default=None, description="Length of the window in event time, e.g. 7d")
    min_rows: int = Field(default=500, ge=1, le=MOST, description="Below this a check answers: not enough data")
    thresholds: dict[Measure, Positive] = Field(default_factory=_default_thresholds, min_length=1)
    features: list[str] | None = Field(default=None, description="Default: the model's input features")
    on_drift: Literal["alert", "retrain", "fallback"] = Field(
        default="alert", description="What to do: tell, retrain, or answer with the fallback until a check is clean"
    )
    cooldown: Span = Field(default=timedelta(0), description="No second action for this long after one")

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.window_size is not None and self.window is not None:
            raise ValueError("give window_size (rows) or window (time), not both")
        return self


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
