"""A whole pipeline: the document of kind FlywheelPipeline."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from flywheel.manifest.cel import APPLIED, CelText
from flywheel.manifest.documents import Document
from flywheel.manifest.drift import DriftConfig
from flywheel.manifest.features import Feature, FeatureConfig
from flywheel.manifest.feedback import FeedbackConfig
from flywheel.manifest.fields import Cron, Name, Span, Spec
from flywheel.manifest.inference import InferenceConfig
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.performance import DEFAULT_WINDOW, PerformanceConfig
from flywheel.manifest.problems import Finding, PartsError
from flywheel.manifest.retention import Retention
from flywheel.manifest.training import ExportConfig, TrainingConfig


class FeatureStage(Spec):
    id: Name
    type: Literal["feature-extraction"]
    config: FeatureConfig


class InferenceStage(Spec):
    id: Name
    type: Literal["ml-inference"]
    config: InferenceConfig


class DriftStage(Spec):
    id: Name
    type: Literal["drift-detection"]
    config: DriftConfig


class FeedbackStage(Spec):
    id: Name
    type: Literal["feedback-join"]
    config: FeedbackConfig


class ExportStage(Spec):
    id: Name
    type: Literal["training-export"]
    config: ExportConfig


Stage = Annotated[FeatureStage | InferenceStage | DriftStage | FeedbackStage | ExportStage, Field(discriminator="type")]


class SinkRef(Spec):
    """Which rows go to the sink of this name: all of them, or those for which the CEL condition is true."""

    name: Name
    condition: CelText | None = Field(default=None, description="CEL over a prediction row; null counts as false")
    all: bool = Field(default=False, description="Every row, those of a fallback too")

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if self.all == (self.condition is not None):
            raise ValueError("needs exactly one of `all: true` and `condition`")
        return self


class Batching(Spec):
    max_rows: int = Field(default=10_000, ge=1, le=10_000_000, description="Records in one micro-batch")
    max_ahead: Span = Field(
        default=timedelta(days=1),
        description="Records and events that happen later than this after they are read are quarantined",
    )


class Schedules(Spec):
    """Cron schedules in UTC; null switches one off."""

    infer: Cron | None = "*/10 * * * *"
    join_feedback: Cron | None = "5 * * * *"
    measure_performance: Cron | None = "15 * * * *"
    check_drift: Cron | None = "20 * * * *"
    retrain: Cron | None = None
    reconcile: Cron | None = "45 * * * *"
    rescore: Cron | None = None
    maintain: Cron | None = "30 3 * * *"


class PipelineSpec(Spec):
    enabled: bool = Field(default=True, description="false: `infer` scores nothing")
    source: Name = Field(description="The Source that records come from")
    prediction_id: JsonPath | None = Field(default=None, description="Default: feedback.join_key")
    stages: list[Stage] = Field(min_length=1, description="One `ml-inference` and what it needs, in any order")
    feedback: FeedbackConfig | None = None
    training_export: ExportConfig | None = None
    training: TrainingConfig | None = None
    performance: PerformanceConfig | None = None
    sinks: list[SinkRef] = Field(default_factory=list)
    batch: Batching = Batching()
    retention: Retention = Retention()
    schedules: Schedules = Schedules()


class Pipeline(Document):
    """A pipeline as its manifest describes it.

    The properties (``features``, ``inference``, ``drift``, ``feedback``, ``export``) give each part wherever it was
    written, as a stage or as a section of ``spec``.
    """

    kind: Literal["FlywheelPipeline"]
    spec: PipelineSpec

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def features(self) -> list[Feature]:
        return [f for stage in self.spec.stages if isinstance(stage, FeatureStage) for f in stage.config.features]

    @property
    def inference(self) -> InferenceConfig:
        """What the one ``ml-inference`` stage says."""
        return next(stage.config for stage in self.spec.stages if isinstance(stage, InferenceStage))

    @property
    def input_features(self) -> list[Feature]:
        """The features that the model is given, in the model's order."""
        by_name = {feature.name: feature for feature in self.features}
        return [by_name[name] for name in self.inference.input_features]

    @property
    def drift(self) -> DriftConfig | None:
        return next((stage.config for stage in self.spec.stages if isinstance(stage, DriftStage)), None)

    @property
    def feedback(self) -> FeedbackConfig | None:
        stages = (stage.config for stage in self.spec.stages if isinstance(stage, FeedbackStage))
        return self.spec.feedback or next(stages, None)

    @property
    def export(self) -> ExportConfig | None:
        stages = (stage.config for stage in self.spec.stages if isinstance(stage, ExportStage))
        return self.spec.training_export or next(stages, None)

    @property
    def training(self) -> TrainingConfig | None:
        return self.spec.training

    @property
    def performance(self) -> PerformanceConfig:
        """How performance is measured, with every default in its place."""
        given = self.spec.performance or PerformanceConfig()
        window = given.window or (self.drift and self.drift.window) or DEFAULT_WINDOW
        metric = given.metric or (self.training.gate.metric if self.training else None)
        return given.model_copy(update={"window": window, "metric": metric, "history": given.history or 4 * window})

    @property
    def prediction_id(self) -> JsonPath:
        """Where a record carries the id that its prediction is known by."""
        if self.spec.prediction_id is not None:
            return self.spec.prediction_id
        if self.feedback is None:
            raise PartsError([Finding(("spec",), "needs prediction_id or feedback.join_key")])
        return self.feedback.join_key

    @property
    def positive_label(self) -> str | None:
        """The label that sampling and scores call positive."""
        if self.export and self.export.sampling.positive_label:
            return self.export.sampling.positive_label
        if self.training and self.training.target:
            return self.training.target
        rules = self.feedback.labels if self.feedback else []
        return next((rule.label_text for rule in rules if rule.label_text is not None and not rule.absent), None)

    @model_validator(mode="after")
    def _whole(self, info: ValidationInfo) -> Self:
        from flywheel.manifest.checks import applied_problems, pipeline_problems

        findings = applied_problems(self) if info.context == APPLIED else pipeline_problems(self)
        if findings:
            raise PartsError(findings, self)
        return self
