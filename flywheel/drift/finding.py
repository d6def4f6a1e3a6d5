"""What was found on one feature."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from flywheel.drift.evidence.hypotheses import Question
from flywheel.drift.measured import Kind
from flywheel.drift.severity import Severity


class FeatureFinding(BaseModel):
    """What was measured on one feature, and how sure it is that it changed.

    Attributes
    ----------
    slice
        The part of the rows that it is about, e.g. ``carrier = AA``; None for all of them.
    share
        The part of the window's rows that the slice has.
    seasonal
        Whether the reference was that of the seasons which the window has, in the same shares.
    measures
        The value of every measure, thresholds or not; None where it is undefined.
    corrected
        The same without what chance adds to them at these numbers of rows; empty in checks from before there were any.
    p_values
        Of each question that could be asked (values, missing, unseen).
    question
        The one that is surest once adjusted; None where none could be asked: both sides hold one and the same value.
    adjusted_p
        Its p-value, adjusted for all the questions of the check: at most the check's alpha is significant.
    significant
        Whether the budget of false alarms calls it drift.
    worst_measure, threshold
        The measure with the largest value / threshold, and that threshold; None where no threshold applies.
    ratio
        That value / threshold: 1 and more is drift where thresholds alone decide.
    """

    model_config = ConfigDict(frozen=True)

    feature: str
    kind: Kind
    slice: str | None = None
    share: float = 1.0
    seasonal: bool = False
    measures: dict[str, float | None]
    corrected: dict[str, float | None] = {}
    p_values: dict[Question, float] = {}
    question: Question | None = None
    adjusted_p: float | None = None
    significant: bool = False
    severity: Severity = "none"
    worst_measure: str | None = None
    threshold: float | None = None
    ratio: float | None = None

    @property
    def title(self) -> str:
        """The feature, and where a slice is meant, which."""
        return self.feature if self.slice is None else f"{self.feature} where {self.slice}"

    @property
    def p_value(self) -> float | None:
        """The p-value of the surest question, before its adjustment."""
        return self.p_values[self.question] if self.question else None

    @property
    def size(self) -> float:
        """How large the change is: the corrected PSI, 0 where it is undefined."""
        return self.corrected.get("psi") or 0.0

    @property
    def by_threshold(self) -> str:
        """The measure that is nearest to its threshold, or above it by most."""
        value = self.measures[self.worst_measure] if self.worst_measure else None
        if value is None:
            return f"no measure with a threshold applies to {self.feature}"
        return f"{self.worst_measure} of {self.feature} is {value:.3g}, threshold {self.threshold:g}"

    @property
    def by_evidence(self) -> str:
        """The question that is surest, with its adjusted p-value and the size of the change."""
        if self.adjusted_p is None:
            return f"{self.feature} has one and the same value on both sides"
        rows = "" if self.slice is None else f" ({self.share:.1%} of the rows)"
        return f"{self.question} of {self.title}{rows}, p = {self.adjusted_p:.2g}, psi {self.size:.3g}"
