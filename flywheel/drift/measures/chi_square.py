"""Pearson's chi-square divergence."""

from __future__ import annotations

from flywheel.drift.measures.comparison import Comparison, without_noise


class ChiSquare:
    """X² = sum over buckets of (w - r)² / r, r and w the floored shares: Pearson's statistic for one row of window.

    The size of an effect, whatever the number of rows: its root is Cohen's w (0.1 small, 0.3 medium, 0.5 large). How
    sure it is, is the p-value's to say. 0 to about 10,000. It weighs buckets by their rarity in the reference.

    References
    ----------
    K. Pearson, On the criterion that a given system of deviations …, 1900.
    J. Cohen, Statistical power analysis for the behavioral sciences, 1988, chapter 7.
    """

    def value(self, comparison: Comparison) -> float:
        """
        >>> import numpy as np
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a", "b"], others=[], counts=[50, 50, 0, 0, 0])
        >>> ChiSquare().value(Comparison(baseline, np.array([25, 75, 0, 0, 0])))
        0.25
        """
        reference, window = comparison.floored_shares
        change = window - reference
        return float(change @ (change / reference))

    def corrected(self, value: float, comparison: Comparison) -> float:
        return without_noise(value, comparison.divergence_noise)
