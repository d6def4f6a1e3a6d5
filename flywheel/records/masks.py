"""Masks over a column that cost nothing where there is nothing to find.

On a batch of thousands of rows, a Polars expression costs more to start than to run; what a column knows of itself
(its count of nulls) answers most questions without one.
"""

from __future__ import annotations

import numpy as np
import polars as pl


def nowhere(count: int) -> pl.Series:
    """Return a mask that is false everywhere."""
    return pl.Series([False]).new_from_index(0, count)


def is_null(column: pl.Series) -> pl.Series:
    """Return which values are null."""
    return column.is_null() if column.has_nulls() else nowhere(len(column))


def is_true(mask: pl.Series) -> pl.Series:
    """Return a mask with false in the place of null.

    >>> is_true(pl.Series([True, None, False])).to_list()
    [True, False, False]
    """
    return mask.fill_null(False) if mask.has_nulls() else mask


def only_finite(column: pl.Series) -> pl.Series:
    """Return a column with null in the place of NaN and infinities.

    >>> only_finite(pl.Series([1.5, None, float("nan")])).to_list()
    [1.5, None, None]
    """
    if not column.dtype.is_float():
        return column
    present = column.drop_nulls() if column.has_nulls() else column
    if np.isfinite(present.to_numpy()).all():
        return column
    return column.set(~is_true(column.is_finite()) & ~is_null(column), None)
