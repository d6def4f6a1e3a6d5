"""Difference in the share of unseen categories."""

from __future__ import annotations

from flywheel.drift.baseline import CategoryBaseline
from flywheel.drift.measures.comparison import Comparison, rate_noise, without_noise


class UnseenRate:
    """|w - r|, the shares of rows whose category the baseline does not know; for categories only. 0 to 1.

    r is 0 unless the reference had more than 10,000 categories, of which the rarest are not remembered.
    """

    def value(self, comparison: Comparison) -> float | None:
        """
        >>> import numpy as np
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a"], others=[], counts=[98, 0, 0, 2])
        >>> UnseenRate().value(Comparison(baseline, np.array([80, 0, 20, 0])))
        0.2
        """
        if not isinstance(comparison.baseline, CategoryBaseline):
            return None
        n, m = comparison.rows
        return float(abs(comparison.reference[-2] / n - comparison.window[-2] / m))

    def corrected(self, value: float, comparison: Comparison) -> float:
        return without_noise(value, rate_noise(comparison, -2))
