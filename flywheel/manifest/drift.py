"""Drift detection: what is compared with the baseline, over which window, and what happens then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.false_alarms import Budget, FalseAlarms
from flywheel.manifest.fields import MOST, Duration, Name, Span, Spec

Measure = Literal[
    "psi", "kl_divergence", "js_divergence", "hellinger", "total_variation", "chi_square", "ks", "wasserstein",
    "missing_rate", "unseen_rate",
]  # fmt: skip
Seasonal = Literal["hour_of_week", "hour_of_day", "day_of_week"]
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
    importance: dict[str, NotNegative] | Literal["model"] = Field(
        default_factory=dict,
        description="Weights of features, 1 where not given: more finds drift sooner there and later elsewhere, "
        "0 records it only. `model`: what each is worth to the champion, by shuffling it on the hold-out",
    )
    features: list[str] | None = Field(default=None, description="Default: the model's input features")
    slices: list[str] = Field(
        default_factory=list,
        max_length=10,
        description="Features to slice by: everything is compared in each slice too (the 20 most frequent values of a "
        "category, the quarters of a number)",
    )
    seasonal: Seasonal | None = Field(
        default=None,
        description="Compare with the reference's rows of the same season (event time, UTC), where a daily or weekly "
        "cycle is no drift",
    )
    multivariate: Literal["domain_classifier"] | None = Field(
        default=None,
        description="Ask too whether a classifier tells the window's rows from the reference's: it sees what no "
        "feature shows by itself, such as a changed correlation",
    )
    embeddings: dict[Name, list[str]] = Field(
        default_factory=dict,
        description="Vectors whose components are features, by name: `{title: [title_0, title_1, title_2]}`. Ask too "
        "whether their mean has moved",
    )
    joint_sample: int = Field(
        default=5_000,
        ge=500,
        le=100_000,
        description="Rows of either side, at most, that `multivariate` and `embeddings` look at",
    )
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
    def asks_jointly(self) -> bool:
        """Whether it is asked what several features show together, which takes a sample of both sides' rows."""
        return self.multivariate is not None or bool(self.embeddings)

    @property
    def weights(self) -> dict[str, float]:
        """Those of ``importance`` that the manifest names."""
        return {} if self.importance == "model" else self.importance

    def weighed_by(self, of_model: Mapping[str, float]) -> Self:
        """Fill in what the champion's features are worth, on average 1; all the same where nobody knows."""
        total = sum(of_model.values())
        if self.importance != "model" or not total:
            return self
        weights = {name: worth * len(of_model) / total for name, worth in of_model.items()}
        return self.model_copy(update={"importance": weights})

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

    @model_validator(mode="after")
    def _all_seasons_together(self) -> Self:
        if self.seasonal is not None and self.asks_jointly:
            raise ValueError(
                "give seasonal, or multivariate and embeddings, not both: these look at a sample of all seasons of the "
                "reference"
            )
        return self

    @model_validator(mode="after")
    def _slices_or_seasons(self) -> Self:
        if self.slices and self.seasonal is not None:
            raise ValueError("give slices or seasonal, not both: slices are compared with all seasons of the reference")
        return self
