"""Kolmogorov-Smirnov statistic, from bins."""

from __future__ import annotations

import numpy as np

from flywheel.drift.baseline import NumericBaseline
from flywheel.drift.bins import is_point
from flywheel.drift.measures.comparison import Comparison, without_noise

# Of the limiting distribution of KS / sqrt(1/n + 1/m) for continuous values: sqrt(pi/2) ln 2.
KOLMOGOROV_MEAN = float(np.sqrt(np.pi / 2) * np.log(2))


class KolmogorovSmirnov:
    """KS = the largest |R(x) - W(x)| over the fine bin edges x, R and W the distribution functions of the two sides.

    For numeric features; of the values that are not missing. 0 to 1. Between two edges the functions may differ by more
    than at them: the true two-sample statistic is never smaller than this one and larger by at most
    ``ks_error_bound``: at most 2/100 for every reference of at least 100 rows, 0 for one of few distinct values.
    Between two samples of one continuous distribution its mean is about 0.869 sqrt(1/n + 1/m).

    References
    ----------
    N. Smirnov, Table for estimating the goodness of fit of empirical distributions, 1948.
    """

    def value(self, comparison: Comparison) -> float | None:
        """
        >>> import polars as pl
        >>> from flywheel.drift.baseline import fit_baseline
        >>> from flywheel.drift.measured import Measured
        >>> rows = pl.DataFrame({"x": [float(x) for x in range(100)]})
        >>> x = fit_baseline(rows, [Measured("x", "numeric")], "january").features["x"]
        >>> round(KolmogorovSmirnov().value(Comparison(x, x.count(rows["x"] + 25))), 4)
        0.25
        """
        below = comparison.below
        if below is None:
            return None
        reference, window = (side / side[-1] for side in below)
        return float(np.abs(reference - window).max())

    def corrected(self, value: float, comparison: Comparison) -> float:
        if comparison.below is None:
            return value
        n, m = (int(side[-1]) for side in comparison.below)
        return without_noise(value, KOLMOGOROV_MEAN * (1 / n + 1 / m) ** 0.5)


def ks_error_bound(comparison: Comparison) -> float | None:
    """How much the true two-sample statistic may exceed the one from bins; None where there is none.

    Inside a bin R - W rises by no more than the smaller of the two shares in it; a bin of a single value has no inside.
    """
    counts = comparison.values
    if counts is None or not isinstance(comparison.baseline, NumericBaseline):
        return None
    inside = ~is_point(np.array(comparison.baseline.edges))
    reference, window = (side[inside] / side.sum() for side in counts)
    return float(np.minimum(reference, window).max())
