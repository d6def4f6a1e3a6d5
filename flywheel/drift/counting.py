"""Counts and buckets of a baseline's features, and how categories get theirs; numbers: ``guide_table``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Counts = npt.NDArray[np.int64]
Buckets = npt.NDArray[np.int64]


class CategoryTable:
    """A bucket for each category; the last three are for the rare ``others``, the unseen and the missing.

    >>> table = CategoryTable(["b", "a"], others=["z"])
    >>> values = pl.Series(["a", "b", "b", "z", "new", None])
    >>> table.buckets(values).tolist(), table.count(values).tolist()
    ([1, 0, 0, 2, 3, 4], [2, 1, 1, 1, 1])
    """

    def __init__(self, categories: Sequence[str], others: Sequence[str]) -> None:
        self.size = len(categories) + 3
        known = dict.fromkeys(others, len(categories)) | {name: bucket for bucket, name in enumerate(categories)}
        self._known = pl.Enum(list(known))
        self._bucket = np.array([*known.values(), len(categories) + 1])

    def count(self, values: pl.Series) -> Counts:
        """How many of some String values are in each bucket."""
        return np.bincount(self.buckets(values), minlength=self.size)

    def buckets(self, values: pl.Series) -> Buckets:
        """The bucket of each of some String values."""
        codes = values.cast(self._known, strict=False).to_physical().cast(pl.Int64)
        if codes.has_nulls():
            codes = codes.fill_null(self._bucket.size - 1)
        buckets: Buckets = self._bucket.take(codes.to_numpy())
        if values.has_nulls():
            buckets[values.is_null().to_numpy()] = self.size - 1
        return buckets


def count_pairs(places: Buckets, buckets: Buckets, shape: tuple[int, int]) -> Counts:
    """Count rows by place and bucket, as a table of that shape; a row whose place is negative is not counted.

    >>> count_pairs(np.array([0, 1, 1, -1]), np.array([2, 0, 0, 1]), (2, 3)).tolist()
    [[0, 0, 1], [2, 0, 0]]
    """
    inside = places >= 0
    pairs = places[inside] * shape[1] + buckets[inside]
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
