"""Kullback-Leibler divergence."""

from __future__ import annotations

from flywheel.drift.measures.comparison import Comparison, without_noise


class KlDivergence:
    """KL(window‖reference) = sum over buckets of w ln(w / r), r and w the floored shares.

    Natural logarithm (nats), not symmetric, 0 to about 9.2: what is lost when the baseline stands in for the window. It
    weighs buckets by the window's share, so what appears counts for more than what disappears. Between two samples
    of one distribution its mean is about (B - 1)/2 (1/n + 1/m).

    References
    ----------
    S. Kullback and R. A. Leibler, On information and sufficiency, 1951.
    """

    def value(self, comparison: Comparison) -> float:
        """
        >>> import numpy as np
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a", "b"], others=[], counts=[50, 50, 0, 0, 0])
        >>> round(KlDivergence().value(Comparison(baseline, np.array([25, 75, 0, 0, 0]))), 4)
        0.1308
        """
        return max(0.0, float(comparison.floored_shares[1] @ comparison.log_ratio))

    def corrected(self, value: float, comparison: Comparison) -> float:
        return without_noise(value, comparison.divergence_noise / 2)
