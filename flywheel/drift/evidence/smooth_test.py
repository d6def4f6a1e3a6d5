"""Neyman's smooth test for two samples of a number, given as counts of its bins."""

from __future__ import annotations

import numpy as np

from flywheel.drift.bins import Floats
from flywheel.drift.counting import Counts
from flywheel.drift.evidence.few_rows import Sampling, corrected, is_worth_correcting
from flywheel.drift.evidence.weighted_chi_square import tail

DEGREE = 20
_VANISHED = 1e-9


def smooth_test(reference: Counts, window: Counts) -> Floats:
    """The p-values of features (rows) whose bins (columns, in order; both sides may be empty) hold these counts.

    The statistic is the sum over k = 1 … 20 of y_k² / k. y_k is the difference of the two means of the k-th
    orthonormal polynomial in the pooled mid-rank: y_1 is Wilcoxon's test and sees location, y_2 Mood's and sees scale,
    y_3 and on see skewness, tails and bumps. The falling weights spend most power on the first few: location is seen
    nearly as well as by Anderson and Darling's test, whose weights are 1 / (k (k + 1)), and scale far better. Given the
    pooled counts the y_k are uncorrelated and of one variance, whatever the bins, so for many rows the null is a sum of
    chi-squares with known weights; ``few_rows`` has what is added for few.

    References
    ----------
    J. Neyman, "Smooth test" for goodness of fit, 1937.
    J. Rayner, O. Thas and D. Best, Smooth tests of goodness of fit, 2009, chapter 9 (samples).
    """
    n, m = reference.sum(axis=1), window.sum(axis=1)
    shares = (reference + window) / (n + m)[:, None]
    polynomials = _polynomials(shares)
    weights = 1 / np.arange(1, DEGREE + 1)
    statistics = _components(polynomials, reference, window) ** 2 @ weights
    ranks = np.count_nonzero(np.any(polynomials, axis=2), axis=1)
    p_values = np.ones(len(n))
    for rank in np.unique(ranks[ranks > 0]):
        rows = ranks == rank
        p_values[rows] = tail(tuple(weights[:rank].tolist()), statistics[rows])
    for row, p_value in enumerate(p_values.tolist()):
        if is_worth_correcting(p_value):
            functions, sampling = polynomials[row, : ranks[row]], Sampling.of(int(n[row]), int(m[row]))
            statistic, used = float(statistics[row]), weights[: ranks[row]]
            p_values[row] = corrected(p_value, statistic, used, functions, shares[row], sampling)
    return p_values


def components(reference: Counts, window: Counts) -> Floats:
    """The y_k of each feature (feature, degree): how far its location, scale, skewness … moved, in standard errors."""
    shares = (reference + window) / (reference.sum(axis=1) + window.sum(axis=1))[:, None]
    return _components(_polynomials(shares), reference, window)


def _components(polynomials: Floats, reference: Counts, window: Counts) -> Floats:
    n, m = reference.sum(axis=1), window.sum(axis=1)
    differences = window / m[:, None] - reference / n[:, None]
    scale = (1 / n + 1 / m) * ((n + m) / (n + m - 1))
    return np.asarray((polynomials @ differences[:, :, None])[:, :, 0] / np.sqrt(scale)[:, None])


def _polynomials(shares: Floats) -> Floats:
    """Orthonormal polynomials (feature, degree, bin) under the shares; zero beyond the bins that are not empty."""
    ranks = np.cumsum(shares, axis=1) - shares / 2 - 0.5
    found = np.zeros((len(shares), DEGREE + 1, shares.shape[1]))
    found[:, 0] = 1
    for degree in range(1, DEGREE + 1):
        new = found[:, degree - 1] * ranks
        size = np.sqrt(np.sum(new**2 * shares, axis=1))
        # Of exact numbers all but the last two would be orthogonal already.
        for lower in (found[:, max(degree - 2, 0) : degree], found[:, :degree]):
            overlap = lower @ (new * shares)[:, :, None]
            new = new - (overlap.swapaxes(1, 2) @ lower)[:, 0]
        left = np.sqrt(np.sum(new**2 * shares, axis=1))
        exists = left > _VANISHED * np.maximum(size, _VANISHED)
        found[:, degree] = np.where(exists, 1 / np.where(exists, left, 1), 0)[:, None] * new
    return found[:, 1:]
