"""Drift of a vector, such as an embedding whose components are features: the cosine distance of the mean vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flywheel.drift.bins import Floats

PERMUTATIONS = 2_000
# Numbers of one block of permutations: 64 MB.
_BLOCK = 8_000_000


@dataclass(frozen=True, slots=True)
class MeanShift:
    """How far the mean vector has turned.

    Attributes
    ----------
    distance
        1 - cos of the angle between the mean vectors, 0 (the same direction) to 2; NaN where one of them is 0.
    p_value
        The share of random divisions of all rows into two such groups with a distance at least as large, the division
        found included, so it is at least 1 / (``PERMUTATIONS`` + 1).
    """

    distance: float
    p_value: float


def mean_shift(reference: Floats, window: Floats) -> MeanShift | None:
    """Compare the mean vectors of two samples, of shape (n, d) and (m, d); None where a side has no whole vector.

    Rows with a component that is missing are left out. The permutations are seeded.

    References
    ----------
    E. Pitman, Significance tests which may be applied to samples from any populations, 1937. B. Phipson and G. Smyth,
    Permutation p-values should never be zero, 2010.

    Examples
    --------
    >>> east, north = np.tile([1.0, 0.0], (50, 1)), np.tile([0.0, 1.0], (50, 1))
    >>> mean_shift(east, north).distance
    1.0
    """
    sides = [side[np.isfinite(side).all(axis=1)] for side in (reference, window)]
    n, m = (side.shape[0] for side in sides)
    if not (n and m):
        return None
    rows = np.concatenate(sides)
    total = rows.sum(axis=0)
    found = float(_distances(sides[1].sum(axis=0)[None], total)[0])
    if np.isnan(found):
        return MeanShift(found, 1.0)
    random = np.random.default_rng(0)
    as_large = 0
    block = max(1, _BLOCK // (n + m))
    for start in range(0, PERMUTATIONS, block):
        number = min(block, PERMUTATIONS - start)
        chosen = random.random((number, n + m)).argpartition(m - 1, axis=1)[:, :m]
        sums = np.stack([rows[places].sum(axis=0) for places in chosen])
        # What differs by rounding only is as large.
        as_large += int((_distances(sums, total) >= found - 1e-12).sum())
    return MeanShift(found, (1 + as_large) / (1 + PERMUTATIONS))


def _distances(window_sums: Floats, total: Floats) -> Floats:
    """Of each window's sum of vectors from the rest's: means and sums point the same way."""
    others = total - window_sums
    lengths = np.linalg.norm(window_sums, axis=1) * np.linalg.norm(others, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - (window_sums * others).sum(axis=1) / lengths)
