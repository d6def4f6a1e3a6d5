"""Times in records, whatever they are written as, as UTC microseconds."""

from __future__ import annotations

import numpy as np
import polars as pl

from flywheel.records.calendar import only_possible

TIME = pl.Datetime("us", "UTC")

# RFC 3339 first: it is the commonest, and the fastest to parse.
_FORMATS = (
    "%+",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
)
# From which size on a number counts milliseconds, microseconds or nanoseconds since 1970 (seconds until the year 5138).
_MILLIS, _MICROS, _NANOS = 1e11, 1e14, 1e17


def parse_times(column: pl.Series) -> pl.Series:
    """Return the times as ``Datetime(us, UTC)``; null where there is none, or it is not a time of the years 1 to 9999.

    Read are: times and dates (without a zone: UTC), ISO 8601 text (without a zone: UTC), and numbers, also as text:
    seconds since 1970, or milli-, micro- or nanoseconds where they are too large for that.

    >>> parse_times(pl.Series(["2013-01-01T05:00:00-05:00", "1357034400000", "soon"])).dt.to_string("iso").to_list()
    ['2013-01-01 10:00:00.000000+00:00', '2013-01-01 10:00:00.000000+00:00', None]
    """
    possible = only_possible(column)
    return possible if possible.dtype == TIME else only_possible(_parse(possible).cast(TIME))


def _parse(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        zoned = column.dt.replace_time_zone("UTC") if dtype.time_zone is None else column.dt.convert_time_zone("UTC")
        return zoned.cast(TIME)
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if dtype == pl.String:
        return _from_text(column)
    if dtype.is_numeric():
        return _from_numbers(column)
    return pl.Series(column.name, [None], dtype=TIME).new_from_index(0, len(column))


def _from_text(column: pl.Series) -> pl.Series:
    """Try one format after another, each only on what is left."""
    text = _only_ascii(column.str.strip_chars())
    times = pl.Series(column.name, [None], dtype=TIME).new_from_index(0, len(column))
    for form in (*_FORMATS, None):
        left = (times.is_null() & text.is_not_null()).arg_true()
        if left.is_empty():
            break
        tried = text.gather(left)
        found = _from_numbers(tried.cast(pl.Float64, strict=False)) if form is None else _strptime(tried, form)
        times = times.scatter(left, found)
    return times


def _only_ascii(text: pl.Series) -> pl.Series:
    """No time has other characters, and the parser panics in the middle of one."""
    others = text.str.len_bytes() != text.str.len_chars()
    return text.set(others, None) if others.any() else text


def _strptime(text: pl.Series, form: str) -> pl.Series:
    times = text.str.to_datetime(form, time_unit="us", strict=False)
    dtype = times.dtype
    return times if isinstance(dtype, pl.Datetime) and dtype.time_zone else times.dt.replace_time_zone("UTC")


def _from_numbers(column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.Float64).to_numpy()
    size = np.abs(numbers)
    micros = numbers * np.where(size < _MILLIS, 1e6, np.where(size < _MICROS, 1e3, 1.0))
    micros = np.where(size < _NANOS, micros, numbers / 1e3)
    is_time = size < _NANOS * 100
    times = pl.Series(column.name, np.rint(np.where(is_time, micros, 0)).astype(np.int64)).cast(TIME)
    return times if is_time.all() else times.set(pl.Series(~is_time), None)
