"""Drift detection: what is compared with the baseline, over which window, and what happens then."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.fields import MOST, Duration, Span, Spec

Measure = Literal["psi", "kl_divergence", "js_divergence", "ks", "missing_rate"]
Positive = Annotated[float, Field(gt=0)]


def _default_thresholds() -> dict[Measure, float]:
    # PSI alone misses a shift by half a standard deviation (0.237).
    return {"psi": 0.25, "kl_divergence": 0.1}


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
