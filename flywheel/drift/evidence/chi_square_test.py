"""Pearson's chi-square test of two samples of a category."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from flywheel.drift.counting import Counts


def chi_square_test(reference: Counts, window: Counts) -> float:
    """The p-value of the 2 × B table, every column of which has rows, as both rows have; 1 for a single column.

    The statistic is Pearson's. Its mean and variance given the margins are exact and its tail that of the chi-square
    (with a scale and a fractional number of degrees of freedom) that has both: many categories with few rows each have
    a wider one than B - 1 degrees of freedom would say.

    References
    ----------
    R. Dawson, A simplified expression for the variance of the chi-square function on a contingency table, 1954.
    """
    columns = reference + window
    size = columns.size
    if size < 2:
        return 1.0
    n, m, total = float(reference.sum()), float(window.sum()), float(columns.sum())
    statistic = float(np.sum((window - m * columns / total) ** 2 / columns)) * total**2 / (n * m)
    mean = total * (size - 1) / (total - 1)
    variance = _variance(total, np.array([n, m]), columns)
    return float(chdtrc(2 * mean**2 / variance, 2 * mean * statistic / variance))


def _variance(total: float, rows: np.ndarray, columns: Counts) -> float:
    freedoms, unevenness = [], []
    for margin in (rows, columns):
        freedoms.append((margin.size - 1) * (total - margin.size) / (total - 1))
        unevenness.append((total * float(np.sum(1 / margin)) - margin.size**2) / (total - 2))
    even = (freedoms[0] - unevenness[0]) * (freedoms[1] - unevenness[1])
    return 2 * total / (total - 3) * even + total**2 / (total - 1) * unevenness[0] * unevenness[1]
