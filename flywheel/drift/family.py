"""All questions of a check as one family: their p-values, adjusted for one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.drift.compared import Compared, Subject
from flywheel.drift.evidence.false_discovery import adjusted
from flywheel.drift.evidence.hypotheses import QUESTION_WEIGHTS, Answers, Question, answer_all
from flywheel.drift.joint import JointFinding, weights_of_joint


@dataclass(frozen=True, slots=True)
class Evidence:
    """The p-values of one subject's questions, and the smallest of them once adjusted for all the others of the check.

    ``question`` and ``adjusted_p`` are None where no question could be asked.
    """

    p_values: Answers
    question: Question | None
    adjusted_p: float | None


@dataclass(frozen=True, slots=True)
class Family:
    """The evidence on each subject, in the order of what was compared, and the adjusted p-values of joint questions."""

    whole: list[Evidence]
    slices: list[Evidence]
    joint: list[float]

    @property
    def smallest(self) -> float:
        """The smallest adjusted p-value; 1 where nothing could be asked."""
        found = [each.adjusted_p for each in [*self.whole, *self.slices] if each.adjusted_p is not None]
        return min([*found, *self.joint], default=1.0)


def weigh(compared: Compared, importance: Mapping[str, float], joint: Sequence[JointFinding]) -> Family:
    """Ask everything, and adjust the answers for one another (weighted Benjamini-Hochberg).

    Half of the weight is that of the whole features, half that of all slices together, each by its feature's
    importance: what shows in all of the rows is found as surely however many slices there are.
    """
    subjects = [*compared.whole, *compared.slices]
    answers = answer_all([subject.comparison for subject in subjects])
    size = len(compared.whole)
    whole = _weights(compared.whole, answers[:size], importance)
    slices = _scaled(_weights(compared.slices, answers[size:], importance), sum(whole))
    p_values = [p for asked in answers for p in asked.values()]
    of_joint = [each.p_value for each in joint if each.p_value is not None]
    family = [*whole, *slices]
    family += weights_of_joint(family, len(of_joint))
    found = iter(adjusted(np.array(p_values + of_joint), np.array(family)).tolist())
    evidence = [_evidence(asked, {question: next(found) for question in asked}) for asked in answers]
    return Family(evidence[:size], evidence[size:], list(found))


def _weights(subjects: Sequence[Subject], answers: Sequence[Answers], importance: Mapping[str, float]) -> list[float]:
    return [
        importance.get(subject.feature.name, 1.0) * QUESTION_WEIGHTS[question]
        for subject, asked in zip(subjects, answers, strict=True)
        for question in asked
    ]


def _scaled(weights: Sequence[float], total: float) -> list[float]:
    """The weights, scaled to add up to ``total``; all 0 stay so."""
    own = sum(weights)
    return [weight * total / own if own else 0.0 for weight in weights]


def _evidence(asked: Answers, found: Mapping[Question, float]) -> Evidence:
    question = min(asked, key=lambda question: (found[question], asked[question]), default=None)
    return Evidence(asked, question, found[question] if question else None)
