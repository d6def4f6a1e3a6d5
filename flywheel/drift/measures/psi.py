"""Population stability index."""

from __future__ import annotations

from flywheel.drift.measures.comparison import Comparison, without_noise


class Psi:
    """PSI = sum over buckets of (w - r) ln(w / r), r and w the floored shares of reference and window.

    Natural logarithm, symmetric, 0 to about 18.4; equal to KL(w‖r) + KL(r‖w). Between two samples of one distribution
    its mean is about (B - 1)(1/n + 1/m) for B buckets, n and m rows: small windows look drifted.

    References
    ----------
    S. Kullback and R. A. Leibler, On information and sufficiency, 1951 (there: J, the divergence).
    N. Siddiqi, Credit risk scorecards, 2006 (the name, and 0.1 and 0.25 as rules of thumb).
    B. Yurdakul and J. Naranjo, Statistical properties of the population stability index, 2020 (the mean).
    """

    def value(self, comparison: Comparison) -> float:
        """
        >>> import numpy as np
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a", "b"], others=[], counts=[50, 50, 0, 0, 0])
        >>> round(Psi().value(Comparison(baseline, np.array([25, 75, 0, 0, 0]))), 4)
        0.2747
        """
        reference, window = comparison.floored_shares
        return float((window - reference) @ comparison.log_ratio)

    def corrected(self, value: float, comparison: Comparison) -> float:
        return without_noise(value, comparison.divergence_noise)
