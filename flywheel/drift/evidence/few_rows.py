"""What few rows change about the tail of a quadratic statistic: the first term of its Edgeworth expansion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flywheel.drift.bins import Floats

_STEP = 0.25
_NODES = np.arange(0, 6, _STEP) + _STEP / 2
# Between these a p-value is worth the correction's time: above nobody acts, below it changes no decision.
_CORRECTED = 1e-12, 0.05
# Of the way from 0 to the first branch point, falling.
_GAPS = 2 ** -np.arange(0.125, 12, 0.125)


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


def is_worth_correcting(p_value: float) -> bool:
    """Whether few rows may change what a p-value decides."""
    return _CORRECTED[0] < p_value < _CORRECTED[1]


def corrected(
    p_value: float, statistic: float, weights: Floats, values: Floats, shares: Floats, sampling: Sampling
) -> float:
    """The p-value that a statistic has for few rows, from the one it would have for many; see ``tail_change``."""
    change = tail_change(statistic, weights, values, shares, sampling)
    return min(p_value + max(change, -p_value / 2), 1.0)


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
    gap = _gap(statistic, weights)
    path = 1 / (2 * weights[0]) - gap + gap * (2j * _NODES + _NODES**2)
    along = gap * (2j + 2 * _NODES)
    inverse = 1 - 2 * path[:, None] * weights
    logarithm = -np.sum(np.log(inverse), axis=1) / 2 - path * statistic
    change = _cumulants(1 / inverse - 1, values, shares, sampling)
    # Of the other half of the parabola the integrand is the conjugate.
    half = np.sum(np.exp(logarithm) * change / path * along) * _STEP
    return float(half.imag) / np.pi


def _gap(statistic: float, weights: Floats) -> float:
    """How far below the first branch point the transform of the tail is smallest on the real line, roughly."""
    first = 1 / (2 * weights[0])
    means = np.sum(weights / (1 - 2 * first * (1 - _GAPS[:, None]) * weights), axis=1)
    return float(first * _GAPS[min(int(np.searchsorted(means, statistic)), _GAPS.size - 1)])


def _cumulants(scales: np.ndarray, values: Floats, shares: Floats, sampling: Sampling) -> np.ndarray:
    """The mean of the fourth cumulant / 24 and of the third's square / 72 of normal mixtures with these variances."""
    squares = values**2
    fourth = (squares * shares) @ squares.T
    # A product of small matrices for each component: one of all would be large enough for BLAS to start threads.
    pair = (values * shares) @ (values[:, None] * values).swapaxes(1, 2)
    total = scales.sum(axis=1)
    kurtosis = sampling.fourth * np.sum((scales @ fourth) * scales, axis=1)
    kurtosis = kurtosis + sampling.pairs * (total**2 + 2 * np.sum(scales**2, axis=1))
    own = scales @ np.einsum("klk->kl", pair)
    across = np.sum(_quadratic(pair**2, scales) * scales, axis=1)
    skewness = across / 12 + np.sum(scales * own**2, axis=1) / 8
    return np.asarray(kurtosis / 8 + sampling.third**2 * skewness)


def _quadratic(forms: Floats, scales: np.ndarray) -> np.ndarray:
    """s' F s of each s (node, component) and quadratic form F (form, component, component), as (node, form)."""
    halves = forms @ np.concatenate([scales.real, scales.imag]).T
    size = len(scales)
    products = halves[:, :, :size] + 1j * halves[:, :, size:]
    return np.asarray(np.sum(products * scales.T, axis=1).T)
