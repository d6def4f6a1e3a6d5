"""Drift detection: what is compared with the baseline, over which window, and what happens then."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.false_alarms import Budget, FalseAlarms
from flywheel.manifest.fields import MOST, Duration, Span, Spec

Measure = Literal[
    "psi", "kl_divergence", "js_divergence", "hellinger", "total_variation", "chi_square", "ks", "wasserstein",
    "missing_rate", "unseen_rate",
]  # fmt: skip
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

DEFAULT_BUDGET = FalseAlarms(1, timedelta(days=30))


class DriftConfig(Spec):
    """What is compared with the baseline, over which window, and what happens when it differs."""

    mode: Literal["shadow", "blocking"] = Field(
        default="shadow", description="shadow measures and never acts; blocking acts as `on_drift` says"
    )
    baseline_uri: str | None = Field(default=None, description="A baseline that stands in for the champion's")
    window_size: int | None = Field(default=None, ge=1, le=MOST, description="Rows in the window")
    window: Duration | None = Field(default=None, description="Length of the window in event time, e.g. 7d")
    min_rows: int | None = Field(
        default=None,
        ge=1,
        le=MOST,
        description="Below this a check answers: not enough data. Default: 500 where thresholds alone decide, else 100",
    )
    thresholds: dict[Measure, Positive] | None = Field(
        default=None,
        min_length=1,
        description="How large a change has to be. Alone it decides; beside `false_alarms` a feature must pass both",
    )
    false_alarms: Budget | None = Field(
        default=None,
        description="How sure a check has to be: false alarms that may come in a time. Default, without `thresholds`: "
        "1 per 30d",
    )
    importance: dict[str, NotNegative] = Field(
        default_factory=dict,
        description="Weights of features, 1 where not given: more finds drift sooner there and later elsewhere, "
        "0 records it only",
    )
    features: list[str] | None = Field(default=None, description="Default: the model's input features")
    on_drift: Literal["alert", "retrain", "fallback"] = Field(
        default="alert", description="What to do: tell, retrain, or answer with the fallback until a check is clean"
    )
    act_on: Literal["drift", "harm"] | None = Field(
        default=None,
        description="drift: whatever drifts; harm: drift only if the model loses by it, and decay without drift too. "
        "Default: drift where thresholds alone decide, else harm",
    )
    cooldown: Span = Field(default=timedelta(0), description="No second action for this long after one")
    clear_after: int = Field(default=2, ge=1, le=MOST, description="Checks in a row without drift that end an alert")

    @property
    def budget(self) -> FalseAlarms:
        """The budget of false alarms that decides, or that a report compares with where thresholds decide."""
        return self.false_alarms or DEFAULT_BUDGET

    @property
    def budget_decides(self) -> bool:
        """Whether a feature must be significant to be drift; alone it need not be where only thresholds are given."""
        return self.false_alarms is not None or self.thresholds is None

    @property
    def acts_on(self) -> Literal["drift", "harm"]:
        """``act_on`` or its default: plain thresholds keep their plain meaning."""
        return self.act_on or ("harm" if self.budget_decides else "drift")

    @property
    def fewest_rows(self) -> int:
        """``min_rows`` or its default: thresholds take noise for drift where rows are few, p-values do not."""
        return self.min_rows or (100 if self.budget_decides else 500)

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if self.window_size is not None and self.window is not None:
            raise ValueError("give window_size (rows) or window (time), not both")
        return self
