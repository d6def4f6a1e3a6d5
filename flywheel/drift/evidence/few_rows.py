"""What few rows change about the tail of a quadratic statistic: the first term of its Edgeworth expansion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flywheel.drift.bins import Floats

_NODES = np.arange(-6, 6, 0.125) + 0.0625


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the cumulants of scaled sums of m of T values, drawn without replacement, follow from the values' moments.

    With values of mean 0 and variance 1 the sums have third moments ``third`` and fourth moments ``fourth`` times the
    values' own, and ``pairs`` more than a normal distribution's for each pair of pairs.
    """

    third: float
    fourth: float
    pairs: float

    @classmethod
    def of(cls, n: int, m: int) -> Sampling:
        """The cumulants of differences of means, divided by sqrt(1/n + 1/m)."""
        total = float(n + m)
        one = m / total
        two = one * (m - 1) / (total - 1)
        three = two * (m - 2) / (total - 2)
        four = three * (m - 3) / (total - 3)
        unit = total / (float(n) * m)
        variance = (one - two) * total * unit
        return cls(
            third=(one - 3 * two + 2 * three) * total * unit**1.5,
            fourth=(one - 7 * two + 12 * three - 6 * four) * total * unit**2,
            pairs=(two - 2 * three + four) * total**2 * unit**2 - variance**2,
        )


def tail_change(statistic: float, weights: Floats, values: Floats, shares: Floats, sampling: Sampling) -> float:
    """What to add to P(sum of weights × chi-square(1) > statistic), to first order in one over the rows.

    ``values`` (component, bin) are the orthonormal functions whose sums are squared; ``shares`` of the bins. The
    transform of the change is that of the sum, times the expected third and fourth cumulants along it; it is inverted
    on a parabola about its branch cut.

    References
    ----------
    D. Chandra and J. Ghosh, Valid asymptotic expansions for the likelihood ratio statistic and other perturbed
    chi-square variables, 1979.
    """
    saddle = _saddle(statistic, weights)
    gap = 1 / (2 * weights[0]) - saddle
    path = saddle + gap * (2j * _NODES + _NODES**2)
    along = gap * (2j + 2 * _NODES)
    inverse = 1 - 2 * path[:, None] * weights
    logarithm = -np.sum(np.log(inverse), axis=1) / 2 - path * statistic
    change = _cumulants(1 / inverse - 1, values, shares, sampling)
    whole = np.sum(np.exp(logarithm) * change / path * along) * 0.125
    return float((whole / 2j / np.pi).real)


def _saddle(statistic: float, weights: Floats) -> float:
    """Where the transform of the tail is smallest on the real line: between 0 and the first branch point."""
    low, high = 0.0, 1 / (2 * weights[0])
    for _ in range(60):
        middle = (low + high) / 2
        if np.sum(weights / (1 - 2 * middle * weights)) < statistic:
            low = middle
        else:
            high = middle
    return float(low + high) / 2


def _cumulants(scales: np.ndarray, values: Floats, shares: Floats, sampling: Sampling) -> np.ndarray:
    """The mean of the fourth cumulant / 24 and of the third's square / 72 of normal mixtures with these variances."""
    squares = values**2
    fourth = (squares * shares) @ squares.T
    pair = np.einsum("kb,lb,mb->klm", values * shares, values, values, optimize=True)
    total = scales.sum(axis=1)
    kurtosis = sampling.fourth * np.einsum("ak,kl,al->a", scales, fourth, scales, optimize=True)
    kurtosis = kurtosis + sampling.pairs * (total**2 + 2 * np.sum(scales**2, axis=1))
    own = scales @ np.einsum("kkl->kl", pair)
    size = len(values)
    inner = (scales @ (pair**2).reshape(size, size * size)).reshape(-1, size, size)
    across = np.einsum("akl,ak,al->a", inner, scales, scales, optimize=True)
    skewness = across / 12 + np.sum(scales * own**2, axis=1) / 8
    return np.asarray(kurtosis / 8 + sampling.third**2 * skewness)
