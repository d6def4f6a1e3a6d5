"""Bins of a numeric feature, from the reference alone.

Edges are order statistics of the reference, so that ``x <= edge`` counts exactly and an outlier moves nothing. The fine
edges are its percentiles; the coarse edges, its deciles, are among them. A value that is repeated and holds at least
the share of a bin (zeros, caps, integers, a constant column) gets a bin of its own: an edge at the value and one at
the next smaller floating-point number.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FINE = 100
COARSE = 10


@dataclass(frozen=True, slots=True)
class Bins:
    """Inner edges, strictly growing; bin ``i`` is (edge i-1, edge i], the first and the last are open to infinity.

    ``coarse`` holds the positions, in ``edges``, of the coarse bins' edges.
    """

    edges: list[float]
    coarse: list[int]


def fit_bins(values: Floats) -> Bins:
    """Bins for finite ``values`` in any order; none at all gives one bin for everything.

    >>> fit_bins(np.arange(1.0, 1001.0)).edges[:3]
    [10.0, 20.0, 30.0]
    >>> bins = fit_bins(np.array([0.0] * 95 + [1.0, 2.0, 3.0, 4.0, 5.0]))
    >>> [bins.edges[i] for i in bins.coarse]
    [-5e-324, 0.0]
    """
    if not values.size:
        return Bins([], [])
    ordered = np.sort(values)
    fine, coarse = _edges(ordered, FINE), _edges(ordered, COARSE)
    edges = np.union1d(fine, coarse)
    return Bins(edges.tolist(), np.searchsorted(edges, coarse).tolist())


def is_point(edges: Floats) -> npt.NDArray[np.bool_]:
    """Which of the ``len(edges) + 1`` bins hold exactly one value."""
    inner = np.nextafter(edges[1:], -np.inf) == edges[:-1]
    lowest = edges[:1] == -sys.float_info.max
    return np.concatenate((lowest, inner, [False]))


def in_few_digits(numbers: Floats, fewest: int = 3) -> list[str]:
    """Write numbers with as few digits as keep them apart, ``fewest`` at least; what isolates zero from below is zero.

    >>> in_few_digits(np.array([0.1234, 0.5, 1234567.0]))
    ['0.123', '0.5', '1230000']
    """
    rounded = [0.0 if abs(number) < 1e-300 else number for number in numbers.tolist()]
    for digits in range(fewest, 16):
        names = [f"{float(f'{number:.{digits}g}'):.15g}" for number in rounded]
        if len(set(names)) == len(set(rounded)):
            break
    return names


def _edges(ordered: Floats, bins: int) -> Floats:
    """The smallest values with at least 1/bins, 2/bins, … of the sample at or below them; heavy ones isolated."""
    ranks = -(-np.arange(1, bins) * ordered.size // bins) - 1
    quantiles = np.unique(ordered[np.maximum(ranks, 0)])
    ties = np.searchsorted(ordered, quantiles, side="right") - np.searchsorted(ordered, quantiles, side="left")
    heavy = quantiles[(ties > 1) & (ties * bins >= ordered.size)]
    with np.errstate(over="ignore"):
        edges: Floats = np.union1d(quantiles, np.nextafter(heavy, -np.inf))
    return np.asarray(edges[np.isfinite(edges)])
