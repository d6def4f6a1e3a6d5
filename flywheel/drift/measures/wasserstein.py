"""Wasserstein distance, from bins."""

from __future__ import annotations

import numpy as np

from flywheel.drift.baseline import NumericBaseline
from flywheel.drift.bins import Floats
from flywheel.drift.counting import Counts
from flywheel.drift.measures.comparison import Comparison, chance_difference, without_noise


class Wasserstein:
    """W = the integral of |R(x) - W(x)| from the first fine edge to the last, over the baseline's ``spread``.

    R and W are the distribution functions of the two sides, straight between edges; the edges are the reference's 1st
    and 99th percentile, and what lies beyond counts as if it lay on them: bins do not say how far out it is, and one
    outlier must not move the scale. So it is the earth mover's distance of the values clipped to that range, in
    standard deviations of the reference (clipped alike); of values as they are, it is never more. The true one differs
    by at most ``wasserstein_error_bound``. For numeric features, of the values that are not missing; None where all but
    a hundredth of the reference is a single value.

    References
    ----------
    S. Vallender, Calculation of the Wasserstein distance between probability distributions on the line, 1974.
    """

    def value(self, comparison: Comparison) -> float | None:
        """
        >>> import polars as pl
        >>> from flywheel.drift.baseline import fit_baseline
        >>> from flywheel.drift.measured import Measured
        >>> rows = pl.DataFrame({"x": np.arange(1000.0)})
        >>> x = fit_baseline(rows, [Measured("x", "numeric")], "january").features["x"]
        >>> shifted = Wasserstein().value(Comparison(x, x.count(rows["x"] + 50)))
        >>> round(shifted * x.spread, 1)  # of 1,000 values that move by 50, those near the ends are clipped
        48.2
        """
        baseline, below = comparison.baseline, comparison.below
        if below is None or not isinstance(baseline, NumericBaseline) or (scale := baseline.spread) is None:
            return None
        reference, window = map(_at_edges, below)
        return _crossed_area(baseline.widths, reference - window) / scale

    def corrected(self, value: float, comparison: Comparison) -> float:
        baseline, below = comparison.baseline, comparison.below
        if below is None or not isinstance(baseline, NumericBaseline) or (scale := baseline.spread) is None:
            return value
        reference, window = below
        heights = chance_difference(_at_edges(reference + window), 1 / reference[-1] + 1 / window[-1])
        return without_noise(value, float(baseline.widths @ (heights[:-1] + heights[1:])) / 2 / scale)


def wasserstein_error_bound(comparison: Comparison) -> float | None:
    """How far the true distance of the clipped values may be from the one from bins; None where there is none.

    Within a bin a distribution function and its chord enclose at most half of the bin's width times its share.
    """
    baseline, counts = comparison.baseline, comparison.values
    if counts is None or not isinstance(baseline, NumericBaseline) or (scale := baseline.spread) is None:
        return None
    inner = sum(side[1:-1] / side.sum() for side in counts)
    return float(np.sum(baseline.widths * inner) / 2 / scale)


def _at_edges(below: Counts) -> Floats:
    return np.asarray(below[:-1] / below[-1])


def _crossed_area(widths: Floats, heights: Floats) -> float:
    """The integral of |a line through heights|: trapezoids, or two triangles where the line crosses zero."""
    sizes = np.abs(heights)
    left, right = sizes[:-1], sizes[1:]
    crossed = np.flatnonzero(heights[:-1] * heights[1:] < 0)
    lost = left[crossed] * right[crossed] / (left + right)[crossed]
    return float(widths @ (left + right) / 2 - widths[crossed] @ lost)
