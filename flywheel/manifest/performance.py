"""Performance: by which windows it is measured, and by which metric it is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from flywheel.manifest.fields import Duration, Fraction, Spec
from flywheel.manifest.problems import Finding
from flywheel.manifest.training import GATE_METRICS

if TYPE_CHECKING:
    from flywheel.manifest.pipeline import Pipeline

Metric = Literal["auc", "log_loss", "accuracy", "average_precision", "rmse", "mae"]
DEFAULT_WINDOW = timedelta(days=7)


class PerformanceConfig(Spec):
    """How the model's performance is measured from its labels; a pipeline with feedback needs no such section."""

    window: Duration | None = Field(
        default=None, description="Length of a window in event time; default: drift detection's window, else 7d"
    )
    metric: Metric | None = Field(default=None, description="What is shown first; default: the gate's metric")
    tolerance: Fraction = Field(
        default=0.01,
        description="Share of the loss that decay may cost without action: that little does not matter",
    )
    history: Duration | None = Field(
        default=None,
        description="How far back closed windows tell how late labels are and what scores are worth; "
        "default: four windows",
    )


def performance_problems(pipeline: Pipeline) -> Iterator[Finding]:
    """Yield what does not go together with the rest of the manifest."""
    config, training = pipeline.spec.performance, pipeline.training
    if config is None:
        return
    if pipeline.feedback is None:
        yield Finding(("spec", "performance"), "needs feedback, which gives labels")
    elif training is not None and config.metric is not None:
        metrics = (*GATE_METRICS[training.task], *(["accuracy"] if training.task == "anomaly" else []))
        if config.metric not in metrics:
            reason = f"does not measure a {training.task}: {', '.join(metrics)}"
            yield Finding(("spec", "performance", "metric"), reason)
