"""Decay: do a model's answers still mean what they meant when it was trained?

A probability promises its own loss: what is hard to tell, such as a week of storms, is hard by its own account and is
no decay. Where the relation of features and label has changed, answers are off on average, or surer than they may be,
and correcting them by what labels show since would have saved a part of the loss. That part is the decay. What the
model's answers were off by from the start, as its hold-out showed, is none. Nor is it one that they are right by what
they say and the hold-out was an odd week.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as fisher

from flywheel.performance.delays import Floats
from flywheel.performance.metrics import Booleans
from flywheel.performance.weights import Integers
from flywheel.training.correction import Correction, chances, correct_odds, correct_values, log_odds

# Outcomes of one day depend on each other (weather, an outage), so that stretches of time are counted, not rows.
STRETCHES, LEAST_STRETCHES = 14, 5


@dataclass(frozen=True, slots=True)
class Decay:
    """What a new correction by intercept and slope, learned from the labels, would have saved.

    Attributes
    ----------
    loss
        Mean loss a row: log loss in nats for a probability, squared error in the label's unit squared for a value; of
        the answers as they are, or corrected as the hold-out said, whichever leaves less to save.
    saved
        How much less it is with the new correction, at least 0.
    intercept, slope
        The new correction on top: 0 and 1 change nothing. A slope below 1: answers are too sure.
    p_value
        The chance of so large a need for correction of a model that has not changed.
    rows
        How many rows it is measured on.
    """

    loss: float
    saved: float
    intercept: float
    slope: float
    p_value: float
    rows: int

    @property
    def share(self) -> float:
        """The part of the loss that would have been saved."""
        return self.saved / self.loss if self.loss > 0 else 0.0


def decay_of_scores(
    times: Floats, truth: Booleans, score: Floats, weights: Floats, first: Correction | None = None
) -> Decay | None:
    """Test a probability's calibration in the large and its slope, jointly; None: not known yet.

    Parameters
    ----------
    times, truth, score, weights
        Of each labelled row, shape (n,): when it happened in any unit, whether it is the target, the target's
        probability, what it counts.
    first
        What the hold-out said when the model was trained; default: that its scores are right.

    References
    ----------
    K. Liang and S. Zeger, Longitudinal data analysis using generalized linear models, 1986: the error of rows that
    depend on each other. The statistic is the score test's, with the F distribution for few stretches; the hold-out's
    own uncertainty is part of it.
    """
    counted = weights > 0
    times, weights, hit = times[counted], weights[counted], truth[counted].astype(np.float64)
    answers = log_odds(score[counted])
    return _least([_decay_of_odds(times, hit, answers, weights, norm) for norm in _norms(first)])


def _decay_of_odds(times: Floats, hit: Floats, answers: Floats, weights: Floats, norm: Correction) -> Decay | None:
    odds = norm(answers)
    chance = chances(odds)
    p_value = _score_test(times, odds, hit - chance, weights, chance * (1 - chance), norm)
    if p_value is None:
        return None
    again = correct_odds(odds, hit, weights)
    before, after = (_log_loss(hit, line, weights) for line in (odds, again(odds)))
    return Decay(before, max(0.0, before - after), again.intercept, again.slope, p_value, hit.size)


def decay_of_values(
    times: Floats, truth: Floats, value: Floats, weights: Floats, first: Correction | None = None
) -> Decay | None:
    """Test a value's bias and slope, jointly; None: not known yet. The parameters are those of ``decay_of_scores``."""
    counted = weights > 0
    times, weights, truth, value = times[counted], weights[counted], truth[counted], value[counted]
    return _least([_decay_of_line(times, truth, value, weights, norm) for norm in _norms(first)])


def _decay_of_line(times: Floats, truth: Floats, answers: Floats, weights: Floats, norm: Correction) -> Decay | None:
    value = norm(answers)
    p_value = _score_test(times, value, truth - value, weights, np.ones(truth.size), norm)
    if p_value is None:
        return None
    again = correct_values(value, truth, weights)
    before, after = (float(np.average((truth - line) ** 2, weights=weights)) for line in (value, again(value)))
    return Decay(before, max(0.0, before - after), again.intercept, again.slope, p_value, truth.size)


def _norms(first: Correction | None) -> list[Correction]:
    """What a model that has not decayed may be worth: what it says, and what the hold-out said of it."""
    return [Correction(), first] if first else [Correction()]


def _least(found: list[Decay | None]) -> Decay | None:
    return min((decay for decay in found if decay is not None), key=lambda decay: decay.saved, default=None)


def _score_test(
    times: Floats, answer: Floats, error: Floats, weights: Floats, variance: Floats, first: Correction
) -> float | None:
    """Whether ``error`` goes with 1 or with ``answer``, by the sums of stretches of time; None: too few of them."""
    stretch = _stretches(times)
    number = int(np.unique(stretch).size)
    if number < LEAST_STRETCHES:
        return None
    design = np.column_stack([np.ones_like(answer), answer - answer.mean()])
    parts = design * (weights * np.where(np.abs(error) > 2e-6, error, 0.0))[:, None]
    sums = np.column_stack([np.bincount(stretch, part, minlength=STRETCHES) for part in parts.T])[np.unique(stretch)]
    around = sums - sums.mean(axis=0)
    spread = around.T @ around * number / (number - 1) + _of_the_first(design, weights * variance, answer, first)
    total = sums.sum(axis=0)
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))
    if rank == 0:
        return 1.0 if not np.any(total) else 0.0
    statistic = float(total @ np.linalg.pinv(spread, hermitian=True) @ total)
    return float(fisher.sf(statistic * (number - rank) / (rank * (number - 1)), rank, number - rank))


def _of_the_first(design: Floats, weights: Floats, answer: Floats, first: Correction) -> Floats:
    """What the uncertainty of the first correction adds to the sums' covariance.

    The sums change with the first intercept and slope, which apply to what ``first`` made ``answer`` of.
    """
    raw = (answer - first.intercept) / first.slope if first.slope else np.zeros_like(answer)
    change = (design.T * weights) @ np.column_stack([np.ones_like(raw), raw])
    return change @ first.spread @ change.T


def _stretches(times: Floats) -> Integers:
    """Which of the equal stretches, from the first to the last, each time is in."""
    length = (times.max() - times.min()) / STRETCHES if times.size else 0.0
    if length <= 0:
        return np.zeros(times.size, dtype=np.int64)
    places: Integers = np.minimum((times - times.min()) / length, STRETCHES - 1).astype(np.int64)
    return places


def _log_loss(hit: Floats, odds: Floats, weights: Floats) -> float:
    return float(np.average(np.logaddexp(0, np.where(hit > 0, -odds, odds)), weights=weights))
