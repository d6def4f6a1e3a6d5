"""Any value as text: for reasons that people read, and for records kept as JSON."""

from __future__ import annotations

import polars as pl

from flywheel.records.calendar import counted, holds_impossible, impossible, only_possible, times_as_counts

ISO_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"
_PLAIN = (pl.String, pl.Categorical, pl.Enum)


def as_text(column: pl.Series) -> pl.Series:
    """Return the values as text: numbers as digits, times as ISO 8601, nested values as JSON, bytes as hex.

    A time outside the years 1 to 9999 is written as a count.

    >>> as_text(pl.Series([True, None])).to_list(), as_text(pl.Series([{"a": [1, 2]}])).to_list()
    (['true', None], ['{"a":[1,2]}'])
    """
    dtype = column.dtype
    strange = impossible(column)
    if strange.any():
        return counted(column).zip_with(strange, as_text(only_possible(column)))
    if dtype in _PLAIN or dtype.is_numeric() or dtype in (pl.Boolean, pl.Null, pl.Date, pl.Time):
        return column.cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        in_utc = column if dtype.time_zone is None else column.dt.convert_time_zone("UTC")
        return in_utc.dt.strftime(ISO_TIME)
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    wrapped = _encodable(column).alias("v").to_frame().to_struct().struct.json_encode()
    inner = wrapped.str.slice(len('{"v":')).str.head(-1)
    return inner.set(column.is_null(), None)


def json_text(records: pl.Series) -> pl.Series:
    """Return whole records as JSON text; text is returned as it is, without the end of its line."""
    if records.dtype == pl.String:
        return records.str.strip_chars_end("\r\n")
    return _encodable(records).struct.json_encode()


def _encodable(column: pl.Series) -> pl.Series:
    """Replace what Polars can't write as JSON: bytes become hex, and nested bytes are left out."""
    if holds_impossible(column):
        column = column.cast(times_as_counts(column.dtype))
    dtype = column.dtype
    if dtype == pl.Binary:
        return column.bin.encode("hex")
    if isinstance(dtype, pl.Struct):
        fields = [_encodable(column.struct.field(field.name)) for field in dtype.fields]
        return pl.DataFrame(fields).to_struct(column.name) if fields else column
    if isinstance(dtype, pl.List | pl.Array) and _holds_bytes(dtype.inner):
        return pl.Series(column.name, [None], dtype=pl.String).new_from_index(0, len(column))
    return column


def _holds_bytes(dtype: object) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(_holds_bytes(field.dtype) for field in dtype.fields)
    if isinstance(dtype, pl.List | pl.Array):
        return _holds_bytes(dtype.inner)
    return dtype == pl.Binary
