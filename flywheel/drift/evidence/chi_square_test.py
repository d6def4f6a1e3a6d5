"""Pearson's chi-square test of two samples of a category."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from flywheel.drift.bins import Floats
from flywheel.drift.counting import Counts
from flywheel.drift.evidence.few_rows import Sampling, corrected, is_worth_correcting


def chi_square_test(reference: Counts, window: Counts) -> float:
    """The p-value of the 2 × B table, every column of which has rows, as both rows have; 1 for a single column.

    The statistic is Pearson's, scaled so that its mean given the margins is exactly B - 1; where its p-value is small,
    ``few_rows`` corrects the chi-square's tail, which is several times too thin where columns have few rows.

    References
    ----------
    K. Pearson, On the criterion that a given system of deviations …, 1900.
    """
    columns = reference + window
    if columns.size < 2:
        return 1.0
    n, m, total = int(reference.sum()), int(window.sum()), int(columns.sum())
    squares = float(np.sum((window - m * columns / total) ** 2 / columns))
    statistic = squares * total * (total - 1) / (n * m)
    p_value = float(chdtrc(columns.size - 1, statistic))
    if not is_worth_correcting(p_value):
        return p_value
    shares = columns / total
    return corrected(p_value, statistic, np.ones(columns.size - 1), _contrasts(shares), shares, Sampling.of(n, m))


def _contrasts(shares: Floats) -> Floats:
    """Functions of the category that are orthonormal under its shares, and to a constant (function, category)."""
    roots = np.sqrt(shares)
    basis = np.linalg.qr(np.column_stack([roots, np.eye(roots.size)[:, :-1]]))[0]
    return np.asarray(basis[:, 1:].T / roots)
