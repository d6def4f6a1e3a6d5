"""Several p-values about one question as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cauchy_combination(p_values: Sequence[float]) -> float:
    """The Cauchy combination of p-values: small when any is small, and right whatever depends on what, for small ones.

    References
    ----------
    Y. Liu and J. Xie, Cauchy combination test: a powerful test with analytic p-value calculation under arbitrary
    dependency structures, 2020.

    >>> round(cauchy_combination([0.01, 0.6]), 4)
    0.0202
    >>> cauchy_combination([0.03])
    0.03
    """
    if len(p_values) == 1:
        return p_values[0]
    p = np.asarray(p_values)
    # tan((1/2 - p) pi) = 1 / tan(p pi), which keeps the digits of a small p.
    middle = float(np.mean(1 / np.tan(np.pi * np.clip(p, 1e-300, 1 - 1e-15))))
    # 1/2 - atan(x) / pi, again without a loss of digits.
    return float(np.arctan2(1, middle) / np.pi)
