"""Finds the bins of numbers without a search: through a table of equal cells that says where each cell's edges begin.

A number's cell is one subtraction and one multiplication away, and few cells have an edge inside, few of these more
than one. So a column is binned by a handful of vector operations, whatever the number of bins. The bins are exact: a
cell grows with the number in floating-point arithmetic as well, so what lies in a later cell than an edge is above it,
and within a cell numbers and edges are compared themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.drift.bins import Floats
from flywheel.drift.counting import Buckets, Counts

_CELLS = 1 << 12
# A number is compared with so many edges of its cell; where there are more it is searched for among all.
_COMPARED = 4
# What is worked on at once stays in the processor's cache.
_PART = 1 << 15


class GuideTable:
    """Bins (edge i-1, edge i], the first and the last open to infinity; after them a bucket for what is no number.

    References
    ----------
    H. Chen and Y. Asau, On generating random variates from an empirical distribution, 1974.

    >>> table = GuideTable([1.0, 2.0])
    >>> values = pl.Series([0.5, 1.0, 3.0, None, float("nan"), float("inf")])
    >>> table.buckets(values).tolist(), table.count(values).tolist()
    ([0, 0, 2, 3, 3, 3], [2, 0, 1, 3])
    """

    def __init__(self, edges: Sequence[float]) -> None:
        """``edges`` grow strictly and are finite; there may be none."""
        self.size = len(edges) + 2
        # Nothing is above the last, so that every comparison ends there.
        self._edges = np.array([*edges, np.inf])
        known = self._edges[:-1]
        with np.errstate(all="ignore"):
            self._low = known[0] if edges else 0.0
            self._scale = _CELLS / (known[-1] - self._low) if edges else 0.0
        inside = np.bincount(np.maximum(self._cells(known), 0), minlength=_CELLS)
        self._first: Buckets = np.cumsum(inside) - inside
        self._compared = min(int(inside.max()), _COMPARED)
        self._is_crowded = inside > _COMPARED

    def count(self, values: pl.Series) -> Counts:
        """How many of some Float64 values are in each bucket."""
        counts = np.zeros(self.size, dtype=np.int64)
        for part in _parts(values):
            counts += np.bincount(self._places(part), minlength=self.size)
        return counts

    def buckets(self, values: pl.Series) -> Buckets:
        """The bucket of each of some Float64 values."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *(self._places(part) for part in _parts(values))])

    def _places(self, numbers: Floats) -> Buckets:
        cells = self._cells(numbers)
        places = self._first.take(cells, mode="clip")
        for _ in range(self._compared):
            places += numbers > self._edges.take(places)
        if self._is_crowded.any():
            left = self._is_crowded.take(cells, mode="clip")
            places[left] = np.searchsorted(self._edges, numbers[left], side="left")
        is_number = np.isfinite(numbers)
        if not is_number.all():
            places[~is_number] = self.size - 1
        return places

    def _cells(self, numbers: Floats) -> npt.NDArray[np.int32]:
        """A cell for each number, which never falls when the number grows.

        What is no number, or the first edge where all are as good as one, has no cell: readers clip it to the first.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            cells = numbers - self._low
            cells *= self._scale
            np.clip(cells, 0, _CELLS - 1, out=cells)
            return cells.astype(np.int32)


def _parts(values: pl.Series) -> list[Floats]:
    return [values.slice(start, _PART).to_numpy() for start in range(0, len(values), _PART)]
