"""Times that no calendar has: other systems' columns hold any 64-bit count, and outside its calendar Polars panics."""

from __future__ import annotations

from typing import Any

import polars as pl

from flywheel.records.masks import is_true, nowhere

# The years 1 to 9999, as seconds and as days since 1970: the first within, the first after.
_SECONDS = (-62_135_596_800, 253_402_300_800)
_DAYS = (-719_162, 2_932_897)
_PER_SECOND = {"ms": 10**3, "us": 10**6}


def only_possible(column: pl.Series) -> pl.Series:
    """Return a column of times or dates with null in the place of those outside the years 1 to 9999.

    >>> only_possible(pl.Series([0, 2**31 - 1], dtype=pl.Int32).cast(pl.Date)).to_list()
    [datetime.date(1970, 1, 1), None]
    """
    outside = impossible(column)
    return column.set(outside, None) if outside.any() else column


def impossible(column: pl.Series) -> pl.Series:
    """Return which entries of a column of times or dates are outside the years 1 to 9999; false for other columns."""
    low, high = _bounds(column.dtype)
    if low is None or high is None:
        return nowhere(len(column))
    count = column.cast(pl.Int64)
    if _lies_within(count, low, high):
        return nowhere(len(column))
    return is_true((count < low) | (count >= high))


def counted(column: pl.Series) -> pl.Series:
    """Return times or dates as the counts they are stored as, in words that nothing reads as another time.

    >>> counted(pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date)).to_list()
    ['2147483647 days after 1970-01-01']
    """
    unit = column.dtype.time_unit if isinstance(column.dtype, pl.Datetime) else "days"
    return column.to_physical().cast(pl.String) + f" {unit} after 1970-01-01"


def holds_impossible(column: pl.Series) -> bool:
    """Whether such a time is anywhere in a column, however deep in structs and lists."""
    dtype = column.dtype
    if isinstance(dtype, pl.Struct):
        return any(holds_impossible(column.struct.field(field.name)) for field in dtype.fields)
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_times(dtype.inner) and holds_impossible(column.explode())
    return bool(impossible(column).any())


def times_as_counts(dtype: Any) -> Any:
    """Return a type with integers where it has times or dates."""
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: times_as_counts(field.dtype) for field in dtype.fields})
    if isinstance(dtype, pl.List):
        return pl.List(times_as_counts(dtype.inner))
    if isinstance(dtype, pl.Array):
        return pl.Array(times_as_counts(dtype.inner), dtype.size)
    return pl.Int64() if _holds_times(dtype) else dtype


def _bounds(dtype: pl.DataType) -> tuple[int | None, int | None]:
    if dtype == pl.Date:
        return _DAYS
    if isinstance(dtype, pl.Datetime) and dtype.time_unit in _PER_SECOND:
        return _SECONDS[0] * _PER_SECOND[dtype.time_unit], _SECONDS[1] * _PER_SECOND[dtype.time_unit]
    return None, None  # 64 bits of nanoseconds are the years 1677 to 2262


def _lies_within(count: pl.Series, low: int, high: int) -> bool:
    first, last = count.min(), count.max()
    return not isinstance(first, int) or not isinstance(last, int) or (low <= first and last < high)


def _holds_times(dtype: object) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(_holds_times(field.dtype) for field in dtype.fields)
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_times(dtype.inner)
    return dtype == pl.Date or isinstance(dtype, pl.Datetime)
