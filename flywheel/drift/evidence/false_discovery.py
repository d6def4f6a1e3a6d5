"""Which of many hypotheses to reject, so that a stated share of the rejected ones is false."""

from __future__ import annotations

import numpy as np

from flywheel.drift.bins import Floats


def adjusted(p_values: Floats, weights: Floats) -> Floats:
    """Weighted Benjamini-Hochberg: rejecting what is at most ``alpha`` keeps the false discovery rate at ``alpha``.

    When nothing drifts, the chance of any rejection is ``alpha`` as well (Simes; at most that where p-values depend
    positively on each other). The weights, scaled to mean 1, move the budget between hypotheses; one with weight 0 is
    never rejected.

    References
    ----------
    Y. Benjamini and Y. Hochberg, Controlling the false discovery rate, 1995.
    C. Genovese, K. Roeder and L. Wasserman, False discovery control with p-value weighting, 2006.

    >>> adjusted(np.array([0.01, 0.02, 0.9]), np.ones(3)).tolist()
    [0.03, 0.03, 0.9]
    """
    size = p_values.size
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(weights > 0, p_values * weights.sum() / (weights * size), np.inf)
    order = np.argsort(scaled, kind="stable")
    steps = scaled[order] * size / np.arange(1, size + 1)
    found = np.empty(size)
    found[order] = np.minimum.accumulate(steps[::-1])[::-1]
    return np.minimum(found, 1)
