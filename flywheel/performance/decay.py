"""Decay: do a model's answers still mean what they say?

A probability promises its own loss: what is hard to tell, such as a week of storms, is hard by its own account and is
no decay. Where the relation of features and label has changed, answers are off on average, or surer than they may be,
and correcting them by what labels show since would have saved a part of the loss. That part is the decay: it is zero
for a model that knows all it can, whatever its features do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as fisher

from flywheel.performance.delays import Floats
from flywheel.performance.metrics import Booleans
from flywheel.performance.weights import Integers

# Outcomes of one day depend on each other (weather, an outage), so that stretches of time are counted, not rows.
STRETCHES, LEAST_STRETCHES = 14, 5
_LEAST = 1e-6
_STEPS = 25


@dataclass(frozen=True, slots=True)
class Decay:
    """What a correction by intercept and slope, learned from the labels, would have saved.

    Attributes
    ----------
    loss
        Mean loss a row: log loss in nats for a probability, squared error in the label's unit squared for a value.
    saved
        How much less the corrected answers' loss is, at least 0.
    intercept, slope
        The correction, of log odds or of values: 0 and 1 change nothing. A slope below 1: answers are too sure.
    p_value
        The chance of so large a need for correction of a model that needs none.
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


def decay_of_scores(times: Floats, truth: Booleans, score: Floats, weights: Floats) -> Decay | None:
    """Test a probability's calibration in the large and its slope, jointly; None: not known yet.

    Parameters
    ----------
    times, truth, score, weights
        Of each labelled row, shape (n,): when it happened in any unit, whether it is the target, the target's
        probability, what it counts.

    References
    ----------
    D. Cox, Two further applications of a model for binary regression, 1958 (intercept and slope). K. Liang and
    S. Zeger, Longitudinal data analysis using generalized linear models, 1986 (the error of rows that depend on each
    other). The statistic is the score test's, with the F distribution for few stretches.
    """
    chance = np.clip(score, _LEAST, 1 - _LEAST)
    odds = np.log(chance / (1 - chance))
    p_value = _score_test(times, odds, truth - score, weights)
    if p_value is None:
        return None
    intercept, slope = _logistic(odds, truth.astype(np.float64), weights)
    before, after = (_log_loss(truth, line, weights) for line in (odds, intercept + slope * odds))
    return Decay(before, max(0.0, before - after), intercept, slope, p_value, int((weights > 0).sum()))


def decay_of_values(times: Floats, truth: Floats, value: Floats, weights: Floats) -> Decay | None:
    """Test a value's bias and slope, jointly; None: not known yet. The parameters are those of ``decay_of_scores``."""
    p_value = _score_test(times, value, truth - value, weights)
    if p_value is None:
        return None
    intercept, slope = _least_squares(value, truth, weights)
    before, after = (
        float(np.average((truth - line) ** 2, weights=weights)) for line in (value, intercept + slope * value)
    )
    return Decay(before, max(0.0, before - after), intercept, slope, p_value, int((weights > 0).sum()))


def _score_test(times: Floats, answer: Floats, error: Floats, weights: Floats) -> float | None:
    """Whether ``error`` goes with 1 or with ``answer``, by the sums of stretches of time; None: too few of them."""
    counted = weights > 0
    stretch = _stretches(times[counted])
    number = int(np.unique(stretch).size)
    if number < LEAST_STRETCHES:
        return None
    error, answer = (error * weights)[counted], answer[counted]
    centred = answer - answer.mean()
    sums = np.column_stack([np.bincount(stretch, part, minlength=STRETCHES) for part in (error, error * centred)])[
        np.unique(stretch)
    ]
    total = sums.sum(axis=0)
    around = sums - sums.mean(axis=0)
    spread = around.T @ around * number / (number - 1)
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))
    if rank == 0:
        return 1.0 if not np.any(total) else 0.0
    statistic = float(total @ np.linalg.pinv(spread, hermitian=True) @ total)
    scale = (number - rank) / (rank * (number - 1))
    return float(fisher.sf(statistic * scale, rank, number - rank))


def _stretches(times: Floats) -> Integers:
    """Which of the equal stretches, from the first to the last, each time is in."""
    length = (times.max() - times.min()) / STRETCHES if times.size else 0.0
    if length <= 0:
        return np.zeros(times.size, dtype=np.int64)
    places: Integers = np.minimum((times - times.min()) / length, STRETCHES - 1).astype(np.int64)
    return places


def _logistic(odds: Floats, truth: Floats, weights: Floats) -> tuple[float, float]:
    """Maximum likelihood by Newton's method, held back a little so that it ends where all labels are the same."""
    design = np.column_stack([np.ones_like(odds), odds])
    ridge = np.eye(2) * 0.02
    line = np.array([0.0, 1.0])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ line, -30, 30)))
        slope = design.T @ (weights * (truth - chance)) - ridge @ (line - [0.0, 1.0])
        step = np.linalg.solve(design.T * (weights * chance * (1 - chance)) @ design + ridge, slope)
        line = line + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return float(line[0]), float(line[1])


def _least_squares(value: Floats, truth: Floats, weights: Floats) -> tuple[float, float]:
    mean, middle = np.average(value, weights=weights), np.average(truth, weights=weights)
    spread = np.average((value - mean) ** 2, weights=weights)
    slope = float(np.average((value - mean) * (truth - middle), weights=weights) / spread) if spread > 0 else 1.0
    return float(middle - slope * mean), slope


def _log_loss(truth: Booleans, odds: Floats, weights: Floats) -> float:
    return float(np.average(np.logaddexp(0, np.where(truth, -odds, odds)), weights=weights))
