"""Counting values into a baseline's buckets: one pass over a column, no row ever touched by Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

Counts = npt.NDArray[np.int64]

# A slice of one column stays in the processor's cache while every edge is compared with it.
_SLICE = 1 << 18


def count_numeric(values: pl.Series, edges: Sequence[float]) -> Counts:
    """Count Float64 values in the bins (edge i-1, edge i]; the last bucket is for what is not a finite number.

    >>> count_numeric(pl.Series([0.5, 1.0, 3.0, None, float("nan"), float("inf")]), [1.0, 2.0]).tolist()
    [2, 0, 1, 3]
    """
    bounds = [-np.inf, *edges, sys.float_info.max]
    below = np.zeros(len(bounds), dtype=np.int64)
    for start in range(0, len(values), _SLICE):
        part = values.slice(start, _SLICE)
        below += np.array([(part <= bound).sum() for bound in bounds], dtype=np.int64)
    bins = np.diff(below)
    return np.append(bins, len(values) - bins.sum())


def count_categories(values: pl.Series, categories: Sequence[str], others: Sequence[str]) -> Counts:
    """Count String values by category; the last three buckets are the rare ``others``, the unseen and the missing.

    >>> count_categories(pl.Series(["a", "b", "b", "z", "new", None]), ["b", "a"], ["z"]).tolist()
    [2, 1, 1, 1, 1]
    """
    buckets = {name: len(categories) for name in others} | {name: bucket for bucket, name in enumerate(categories)}
    unseen = len(categories) + 1
    found = values.drop_nulls()
    if buckets:
        codes = found.replace_strict(buckets, default=unseen, return_dtype=pl.Int64).to_numpy()
    else:
        codes = np.full(len(found), unseen)
    return np.append(np.bincount(codes, minlength=unseen + 1), values.null_count())
