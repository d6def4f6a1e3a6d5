"""Hellinger distance."""

from __future__ import annotations

import numpy as np

from flywheel.drift.measures.comparison import Comparison, without_noise


class Hellinger:
    """H = sqrt(1/2 sum over buckets of (sqrt(w) - sqrt(r))²), r and w the shares. Symmetric, a metric, 0 to 1.

    Needs no floor: an empty bucket counts for its whole share on the other side. Corrected in its square, whose mean
    between two samples of one distribution is about (B - 1)/8 (1/n + 1/m).

    References
    ----------
    E. Hellinger, Neue Begründung der Theorie quadratischer Formen von unendlichvielen Veränderlichen, 1909.
    R. Beran, Minimum Hellinger distance estimates for parametric models, 1977.
    """

    def value(self, comparison: Comparison) -> float:
        """
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a", "b"], others=[], counts=[50, 50, 0, 0, 0])
        >>> round(Hellinger().value(Comparison(baseline, np.array([25, 75, 0, 0, 0]))), 4)
        0.1846
        """
        reference, window = comparison.shares
        change = np.sqrt(window) - np.sqrt(reference)
        return float(np.sqrt(change @ change / 2))

    def corrected(self, value: float, comparison: Comparison) -> float:
        return float(np.sqrt(without_noise(value**2, comparison.divergence_noise / 8)))
