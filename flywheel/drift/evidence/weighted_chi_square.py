"""Tail of a weighted sum of independent chi-squares with one degree of freedom each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import gammaincc, gammaln

from flywheel.drift.bins import Floats

_TERMS = 1200
SMALLEST = 1e-100


def tail(weights: tuple[float, ...], values: Floats) -> Floats:
    """P(sum of weights × chi-square(1) > value) for each value, exact to about ten digits, at least ``SMALLEST``.

    A mixture of chi-squares on the smallest weight's scale, all terms positive, so that small tails keep their digits.

    References
    ----------
    H. Ruben, Probability content of regions under spherical normal distributions IV, 1962.

    >>> tail((1.0, 1.0), np.array([2.0])) / np.exp(-1)
    array([1.])
    """
    half, scale = len(weights) / 2, min(weights)
    x = np.clip(values, 0, None)[:, None] / (2 * scale)
    powers = half + np.arange(_TERMS)
    with np.errstate(divide="ignore", under="ignore"):
        terms = np.exp(powers * np.log(x) - x - gammaln(powers + 1))
    above = gammaincc(half, x[:, 0]) + terms @ _remaining(weights)
    return np.asarray(np.clip(above, SMALLEST, 1))


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
