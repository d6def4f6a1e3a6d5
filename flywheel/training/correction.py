"""How a model's answers would have to be corrected to mean what they say: by an intercept and a slope."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Floats = npt.NDArray[np.float64]

_LEAST = 1e-6
_STEPS, _SMALL = 50, 1e-8
# Holds the fit back a little, so that it ends where all labels are the same.
_RIDGE = np.eye(2) * 0.02
_UNCHANGED = np.array([0.0, 1.0])


class Correction(BaseModel):
    """Intercept and slope of the truth on what a model answers: of log odds for a probability, else of values.

    0 and 1 change nothing; a slope below 1: the answers are too sure. ``covariance`` is that of the two, as (intercept,
    both, slope): how well the rows that it comes from tell them.

    References
    ----------
    D. Cox, Two further applications of a model for binary regression, 1958.
    """

    model_config = ConfigDict(frozen=True)

    intercept: float = 0.0
    slope: float = 1.0
    covariance: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __call__(self, answers: Floats) -> Floats:
        """Correct log odds, or values."""
        return self.intercept + self.slope * answers

    @property
    def spread(self) -> Floats:
        """The covariance as a matrix."""
        first, both, second = self.covariance
        return np.array([[first, both], [both, second]])


def log_odds(score: Floats) -> Floats:
    """ln(p / (1 - p)) of probabilities, those of 0 and 1 taken for a millionth from it."""
    chance = np.clip(score, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(chance / (1 - chance)))


def correct_odds(odds: Floats, truth: Floats, weights: Floats) -> Correction:
    """Fit the correction of log odds by maximum likelihood; ``truth`` is 0 or 1, all arrays of shape (n,)."""
    weights = _effective(weights)
    design = np.column_stack([np.ones_like(odds), odds])

    def loss(line: Floats) -> float:
        likelihood = weights @ np.logaddexp(0, np.where(truth > 0, -1, 1) * (design @ line))
        return float(likelihood + (line - _UNCHANGED) @ _RIDGE @ (line - _UNCHANGED) / 2)

    line, information = _UNCHANGED, _RIDGE
    for _ in range(_STEPS):
        chance = chances(design @ line)
        information = design.T * (weights * chance * (1 - chance)) @ design + _RIDGE
        gradient = design.T @ (weights * (truth - chance)) - _RIDGE @ (line - _UNCHANGED)
        step = np.linalg.solve(information, gradient)
        while loss(line + step) > loss(line) and np.abs(step).max() > _SMALL:
            step = step / 2
        line = line + step
        if np.abs(step).max() <= _SMALL:
            break
    return _correction(line, np.asarray(np.linalg.inv(information)))


def correct_values(value: Floats, truth: Floats, weights: Floats) -> Correction:
    """Fit the correction of values by least squares; all arrays of shape (n,)."""
    weights = _effective(weights)
    design = np.column_stack([np.ones_like(value), value])
    inverse = np.linalg.pinv(design.T * weights @ design, hermitian=True)
    line = _UNCHANGED + inverse @ (design.T @ (weights * (truth - value)))
    variance = np.average((truth - design @ line) ** 2, weights=weights)
    return _correction(line, inverse * variance)


def chances(odds: Floats) -> Floats:
    """Probabilities of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def _effective(weights: Floats) -> Floats:
    """Weights that add up to as many rows as they are worth (Kish, 1965)."""
    squares = float(weights @ weights)
    return weights * (weights.sum() / squares) if squares > 0 else weights


def _correction(line: Floats, covariance: Floats) -> Correction:
    return Correction(
        intercept=float(line[0]),
        slope=float(line[1]),
        covariance=(float(covariance[0, 0]), float(covariance[0, 1]), float(covariance[1, 1])),
    )
