"""What was found on several features together, which none of them need show by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict
from scipy.special import ndtri

from flywheel.drift.severity import Severity, severity_of_change

# Of the chance of a false alarm, the part of all joint questions of a check together.
JOINT_SHARE = 0.1


class JointFinding(BaseModel):
    """The answer to one question about several features together.

    Attributes
    ----------
    test
        What asked: a classifier that tells the window's rows from the reference's, or the mean vector of an embedding.
    name
        ``multivariate``, or the embedding's name.
    value
        The classifier's AUC (0.5 without drift), or the cosine distance of the mean vectors; None where not asked.
    features
        Of the classifier those that it goes by, the most telling first; of an embedding its components.
    p_value, adjusted_p
        By itself, and adjusted for all the questions of the check: at most its alpha is significant. None: not asked.
    significant
        Whether the budget of false alarms calls it drift; thresholds have no say here.
    why_not
        Why it could not be asked.
    """

    model_config = ConfigDict(frozen=True)

    test: Literal["domain_classifier", "embedding"]
    name: str
    value: float | None = None
    features: list[str] = []
    p_value: float | None = None
    adjusted_p: float | None = None
    significant: bool = False
    severity: Severity = "none"
    why_not: str | None = None

    def judged(self, adjusted_p: float, alpha: float) -> JointFinding:
        """The same beside the other questions of its check."""
        is_sure = adjusted_p <= alpha
        severity = severity_of_change(self.size, is_sure=is_sure)
        return self.model_copy(update={"adjusted_p": adjusted_p, "significant": is_sure, "severity": severity})

    @property
    def size(self) -> float:
        """How large the change is, on the scale of a PSI.

        Of an AUC it is the PSI of one normal feature, moved, by which rows could be told as well: d² where
        AUC = Φ(d / √2). Of an embedding it is the cosine distance itself.
        """
        if self.value is None:
            return 0.0
        if self.test == "embedding":
            return self.value
        return float(2 * ndtri(min(max(self.value, 0.5), 1 - 1e-9)) ** 2)

    @property
    def by_evidence(self) -> str:
        """What it says, with its adjusted p-value."""
        if self.value is None or self.adjusted_p is None:
            return f"{self.name}: {self.why_not}"
        if self.test == "embedding":
            return f"mean vector of {self.name}, p = {self.adjusted_p:.2g}, cosine distance {self.value:.3g}"
        told = f"rows are told from the reference's, p = {self.adjusted_p:.2g}, AUC {self.value:.3g}"
        return f"{told}, by {', '.join(self.features[:3])}" if self.features else told


def weights_of_joint(weights: Sequence[float], number: int) -> list[float]:
    """The weights of ``number`` joint questions beside those of all others: ``JOINT_SHARE`` of the whole for all.

    Where no other has a weight, all of it is theirs.

    >>> weights_of_joint([1.0] * 18, 2)
    [1.0, 1.0]
    """
    others = sum(weights) or 1.0
    return [others * JOINT_SHARE / (1 - JOINT_SHARE) / number] * number if number else []


def judged_jointly(joint: Sequence[JointFinding], adjusted_p: Sequence[float], alpha: float) -> list[JointFinding]:
    """All of them, the surest first; ``adjusted_p`` has those of the ones that were asked, in their order."""
    found = iter(adjusted_p)
    judged = [each if each.p_value is None else each.judged(next(found), alpha) for each in joint]
    return sorted(judged, key=lambda each: 2.0 if each.adjusted_p is None else each.adjusted_p)
