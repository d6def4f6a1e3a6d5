"""Tail of a weighted sum of independent chi-squares with one degree of freedom each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import chdtrc, gammaincc, gammaln

from flywheel.drift.bins import Floats

_TERMS = 1200
_FAR = 1000.0  # on the smallest weight's scale; the terms reach a little further
SMALLEST = 1e-300


def tail(weights: tuple[float, ...], values: Floats) -> Floats:
    """P(sum of weights × chi-square(1) > value) for each value, at least ``SMALLEST``; exact to about ten digits.

    A mixture of chi-squares on the smallest weight's scale, all terms positive, so that small tails keep their digits.
    Far out (for weights 1 … 1/20 below 1e-22) the largest weight alone says how it falls: that is within 2%.

    References
    ----------
    H. Ruben, Probability content of regions under spherical normal distributions IV, 1962.

    >>> tail((1.0, 1.0), np.array([2.0])) / np.exp(-1)
    array([1.])
    """
    half, scale = len(weights) / 2, min(weights)
    x = np.clip(values, 0, None)[:, None] / (2 * scale)
    largest = float(x.max(initial=0))
    used = min(_TERMS, int(largest + 12 * largest**0.5) + 60)  # the others would add nothing
    with np.errstate(divide="ignore", under="ignore"):
        terms = np.exp((half + np.arange(used)) * np.log(x) - x - _log_factorials(half)[:used])
    above = gammaincc(half, x[:, 0]) + terms @ _remaining(weights)[:used]
    return np.asarray(np.clip(np.where(x[:, 0] > _FAR, _far_tail(weights, values), above), SMALLEST, 1))


def _far_tail(weights: tuple[float, ...], values: Floats) -> Floats:
    """The tail of the terms with the largest weight, times the moment of the others that it is tilted by."""
    largest = max(weights)
    others = np.array([weight for weight in weights if weight < largest])
    tilted = np.prod(1 - others / largest) ** -0.5
    return np.asarray(tilted * chdtrc(len(weights) - others.size, np.clip(values, 0, None) / largest))


@lru_cache(maxsize=64)
def _log_factorials(first: float) -> Floats:
    return np.asarray(gammaln(first + np.arange(_TERMS) + 1))


@lru_cache(maxsize=64)
def _remaining(weights: tuple[float, ...]) -> Floats:
    """The mixture's probability of more than 0, 1, 2, … extra pairs of degrees of freedom."""
    ratios = 1 - min(weights) / np.array(weights)
    logarithms = np.array([np.sum(ratios**k) / 2 for k in range(1, _TERMS + 1)])
    mixture = np.empty(_TERMS + 1)
    mixture[0] = np.exp(np.sum(np.log1p(-ratios)) / 2)
    for k in range(1, _TERMS + 1):
        mixture[k] = logarithms[:k] @ mixture[k - 1 :: -1] / k
    return np.asarray(np.cumsum(mixture[:0:-1])[::-1])
