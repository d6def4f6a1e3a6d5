"""Drift of a vector, such as an embedding whose components are features: the cosine distance of the mean vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr

from flywheel.drift.bins import Floats

SMALLEST = 1e-100
# Means of fewer vectors are not normal enough.
LEAST_ROWS = 100
# So many times the largest variance has no chance worth a number.
_FAR = 1e9


@dataclass(frozen=True, slots=True)
class MeanShift:
    """How far the mean vector has gone.

    Attributes
    ----------
    distance
        1 - cos of the angle between the mean vectors, 0 (the same direction) to 2; NaN where one of them is 0.
    p_value
        The chance that the mean vectors of two such groups, drawn from all rows by lot, are as far apart (by the length
        of their difference), at least ``SMALLEST``.
    """

    distance: float
    p_value: float


def mean_shift(reference: Floats, window: Floats) -> MeanShift | None:
    """Compare the mean vectors of two samples, of shape (n, d) and (m, d); None where one has fewer than 100 vectors.

    Vectors with a component that is missing are left out.

    Notes
    -----
    The components of the difference, along the principal axes of all rows, are independent and normal for many rows, so
    that its squared length is a sum of chi-squares weighted by the variances. Unlike a number of permutations this has
    no smallest p-value, and needs one pass over the rows.

    References
    ----------
    Z. Bai and H. Saranadasa, Effect of high dimension: by an example of a two sample problem, 1996 (the statistic).

    Examples
    --------
    >>> east, north = np.tile([1.0, 0.0], (100, 1)), np.tile([0.0, 1.0], (100, 1))
    >>> mean_shift(east, north).distance
    1.0
    """
    sides = [side[np.isfinite(side).all(axis=1)] for side in (reference, window)]
    n, m = (side.shape[0] for side in sides)
    if min(n, m) < LEAST_ROWS:
        return None
    # On a scale of their own, so that no square overflows; the angle and the p-value do not depend on it.
    rows = np.concatenate(sides)
    rows = rows / (np.abs(rows).max() or 1.0)
    first, second = rows[:n].mean(axis=0), rows[n:].mean(axis=0)
    spread = rows - rows.mean(axis=0)
    variances = np.linalg.eigvalsh(spread.T @ spread / (n + m - 1)) * (1 / n + 1 / m)
    return MeanShift(_cosine_distance(first, second), tail_of_squares(variances, float(np.sum((first - second) ** 2))))


def _cosine_distance(first: Floats, second: Floats) -> float:
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return max(1 - float(first @ second) / length, 0.0) if length > 0 else float("nan")


def tail_of_squares(variances: Floats, value: float) -> float:
    """P(sum of squares > value) for independent normals with mean 0 and these variances; of all 0, 1.

    The saddlepoint approximation, from 2% below the probability itself to 14% above it, however small that is.

    References
    ----------
    R. Lugannani and S. Rice, 1980, in the form of D. Kuonen, Saddlepoint approximations for distributions of quadratic
    forms in normal variables, 1999.

    >>> round(tail_of_squares(np.ones(4), 18.467), 5)
    0.00101
    """
    weights = variances[variances > 1e-12 * max(float(variances.max(initial=0)), 1e-300)]
    # What is as good as constant differs by rounding only.
    if not weights.size or value <= 1e-12 * weights.sum():
        return 1.0
    weights, x = weights / weights.max(), float(value / weights.max())
    if x > _FAR:
        return SMALLEST

    def slope(point: float) -> float:
        return float(np.sum(weights / (1 - 2 * point * weights))) - x

    # At the saddlepoint the tilted mean is x; it lies below 1/2, where the largest weight's term has its pole.
    point = float(brentq(slope, -weights.size / (2 * x) - 1, 0.5 * (1 - 1e-12)))
    second = 2 * float(np.sum((weights / (1 - 2 * point * weights)) ** 2))
    if abs(point) < 1e-4:
        third = 8 * float(np.sum(weights**3))
        return float(np.exp(log_ndtr(-third / (6 * second**1.5))))
    generating = -0.5 * float(np.sum(np.log1p(-2 * point * weights)))
    w = float(np.sign(point) * np.sqrt(2 * (point * x - generating)))
    v = point * np.sqrt(second)
    return max(float(np.exp(log_ndtr(-(w + float(np.log(v / w)) / w)))), SMALLEST)
