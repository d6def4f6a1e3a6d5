"""Total variation distance."""

from __future__ import annotations

import numpy as np

from flywheel.drift.measures.comparison import Comparison, chance_difference, without_noise


class TotalVariation:
    """TV = 1/2 sum over buckets of |w - r|: the share of rows that would have to change their bucket. 0 to 1.

    Corrected by half the sum of the buckets' mean differences between two samples of one distribution.

    References
    ----------
    D. Levin, Y. Peres and E. Wilmer, Markov chains and mixing times, 2009, chapter 4.
    """

    def value(self, comparison: Comparison) -> float:
        """
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a", "b"], others=[], counts=[50, 50, 0, 0, 0])
        >>> TotalVariation().value(Comparison(baseline, np.array([25, 75, 0, 0, 0])))
        0.25
        """
        reference, window = comparison.shares
        return float(np.abs(window - reference).sum() / 2)

    def corrected(self, value: float, comparison: Comparison) -> float:
        return without_noise(value, float(chance_difference(comparison.pooled, comparison.noise).sum() / 2))
