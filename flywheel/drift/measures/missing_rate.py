"""Difference in the share of missing values."""

from __future__ import annotations

from flywheel.drift.measures.comparison import Comparison, rate_noise, without_noise


class MissingRate:
    """|w - r|, the shares of rows whose value is missing (for numbers also NaN or infinite). 0 to 1.

    Less missing counts as much as more: either way the model meets values in places it was not trained on.
    """

    def value(self, comparison: Comparison) -> float:
        """
        >>> import numpy as np
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a"], others=[], counts=[98, 0, 0, 2])
        >>> round(MissingRate().value(Comparison(baseline, np.array([80, 0, 0, 20]))), 4)
        0.18
        """
        n, m = comparison.rows
        return float(abs(comparison.reference[-1] / n - comparison.window[-1] / m))

    def corrected(self, value: float, comparison: Comparison) -> float:
        return without_noise(value, rate_noise(comparison, -1))
