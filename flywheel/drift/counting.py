"""Counting values into a baseline's buckets: one pass over a column, no row ever touched by Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Counts = npt.NDArray[np.int64]
Buckets = npt.NDArray[np.int64]

# A slice of one column stays in the processor's cache while every edge is compared with it.
_SLICE = 1 << 18
# Fewer values than this are sooner sorted than compared with every edge.
_FEW = 1 << 15


def count_numeric(values: pl.Series, edges: Sequence[float]) -> Counts:
    """Count Float64 values in the bins (edge i-1, edge i]; the last bucket is for what is not a finite number.

    >>> count_numeric(pl.Series([0.5, 1.0, 3.0, None, float("nan"), float("inf")]), [1.0, 2.0]).tolist()
    [2, 0, 1, 3]
    """
    bounds = [-np.inf, *edges, sys.float_info.max]
    if len(values) < _FEW:
        # What is missing or not a number is sorted to the end, behind the largest bound.
        below = np.searchsorted(np.sort(values.to_numpy()), bounds, side="right")
    else:
        below = _compared(values, bounds)
    bins = np.diff(below)
    return np.append(bins, len(values) - bins.sum())


def _compared(values: pl.Series, bounds: Sequence[float]) -> Counts:
    """How many values are not above each bound."""
    below = np.zeros(len(bounds), dtype=np.int64)
    for start in range(0, len(values), _SLICE):
        part = values.slice(start, _SLICE)
        below += np.array([(part <= bound).sum() for bound in bounds], dtype=np.int64)
    return below


def count_categories(values: pl.Series, categories: Sequence[str], others: Sequence[str]) -> Counts:
    """Count String values by category; the last three buckets are the rare ``others``, the unseen and the missing.

    >>> count_categories(pl.Series(["a", "b", "b", "z", "new", None]), ["b", "a"], ["z"]).tolist()
    [2, 1, 1, 1, 1]
    """
    unseen = len(categories) + 1
    buckets = _category_buckets(values.drop_nulls(), categories, others)
    return np.append(np.bincount(buckets, minlength=unseen + 1), values.null_count())


def bucket_numeric(values: pl.Series, edges: Sequence[float]) -> Buckets:
    """The bucket of each value, as ``count_numeric`` counts them.

    >>> bucket_numeric(pl.Series([0.5, 1.0, 3.0, None, float("nan"), float("inf")]), [1.0, 2.0]).tolist()
    [0, 0, 2, 3, 3, 3]
    """
    numbers = values.to_numpy()
    return np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="left"), len(edges) + 1)


def bucket_categories(values: pl.Series, categories: Sequence[str], others: Sequence[str]) -> Buckets:
    """The bucket of each value, as ``count_categories`` counts them.

    >>> bucket_categories(pl.Series(["a", "b", "z", "new", None]), ["b", "a"], ["z"]).tolist()
    [1, 0, 2, 3, 4]
    """
    return np.where(values.is_null(), len(categories) + 2, _category_buckets(values, categories, others))


def count_pairs(places: Buckets, buckets: Buckets, shape: tuple[int, int]) -> Counts:
    """Count rows by place and bucket, as a table of that shape; a row whose place is negative is not counted.

    >>> count_pairs(np.array([0, 1, 1, -1]), np.array([2, 0, 0, 1]), (2, 3)).tolist()
    [[0, 0, 1], [2, 0, 0]]
    """
    inside = places >= 0
    pairs = places[inside] * shape[1] + buckets[inside]
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


def _category_buckets(values: pl.Series, categories: Sequence[str], others: Sequence[str]) -> Buckets:
    unseen = len(categories) + 1
    buckets = {name: len(categories) for name in others} | {name: bucket for bucket, name in enumerate(categories)}
    if not buckets:
        return np.full(len(values), unseen)
    return values.replace_strict(buckets, default=unseen, return_dtype=pl.Int64).to_numpy()
