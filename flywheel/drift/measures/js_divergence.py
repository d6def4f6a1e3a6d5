"""Jensen-Shannon divergence."""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr

from flywheel.drift.measures.comparison import Comparison, without_noise


class JsDivergence:
    """JS = (KL(r‖m) + KL(w‖m)) / 2 with m = (r + w) / 2, r and w the plain shares: it needs no smoothing.

    Base 2, symmetric, 0 to 1. This is the divergence; its square root is the distance that some tools report. Between
    two samples of one distribution its mean is about (B - 1)/(8 ln 2) (1/n + 1/m).

    References
    ----------
    J. Lin, Divergence measures based on the Shannon entropy, 1991.
    """

    def value(self, comparison: Comparison) -> float:
        """
        >>> from flywheel.drift.baseline import CategoryBaseline
        >>> baseline = CategoryBaseline(categories=["a", "b"], others=[], counts=[50, 50, 0, 0, 0])
        >>> round(JsDivergence().value(Comparison(baseline, np.array([25, 75, 0, 0, 0]))), 4)
        0.0488
        """
        reference, window = comparison.shares
        middle = (reference + window) / 2
        nats = np.sum(rel_entr(reference, middle) + rel_entr(window, middle)) / 2
        return max(0.0, float(nats / np.log(2)))

    def corrected(self, value: float, comparison: Comparison) -> float:
        return without_noise(value, comparison.divergence_noise / (8 * np.log(2)))
