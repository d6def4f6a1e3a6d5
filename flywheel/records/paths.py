"""The values that JSONPaths lead to in a frame of records: through columns, structs, lists and JSON text."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.calendar import impossible
from flywheel.records.json_values import Segments, extract_json
from flywheel.records.text import as_text
from flywheel.records.times import parse_times


def pick_values(records: pl.DataFrame, paths: Sequence[JsonPath]) -> pl.DataFrame:
    """Return a column per path, named like it; nulls where the records have no such field.

    ``$.a.b`` is field ``b`` of column ``a`` (a struct, or JSON text), or the column called ``a.b`` where there is one.

    >>> frame = pl.DataFrame({"a": [{"b": [1, 2]}], "c.d": ["x"], "e": ['{"f": 7}']})
    >>> pick_values(frame, [JsonPath("$.a.b[-1]"), JsonPath("$.c.d"), JsonPath("$.e.f")]).row(0)
    (2, 'x', '7')
    """
    columns = [pick_value(records, path.segments).alias(path) for path in dict.fromkeys(paths)]
    return pl.DataFrame(columns)


def pick_value(records: pl.DataFrame, path: Segments) -> pl.Series:
    """Return the values that one path leads to; a column of nulls where there is no such field."""
    name = column_of(path, records.columns)
    if name is None:
        return pl.Series([None], dtype=pl.Null).new_from_index(0, records.height)
    rest = () if name != path[0] else path[1:]
    return _plain(_walk(records[name], rest))


def column_of(path: Segments, columns: Sequence[str]) -> str | None:
    """Return the column in which a path begins (``a.b`` goes before ``a``), or None."""
    dotted = ".".join(str(step) for step in path)
    return next((str(name) for name in (dotted, path[0]) if name in columns), None)


def _walk(column: pl.Series, path: Segments) -> pl.Series:
    if not path:
        return column
    step, rest = path[0], path[1:]
    dtype = column.dtype
    if dtype == pl.String:
        return extract_json(column, [path]).columns[0]
    if isinstance(dtype, pl.Struct) and any(field.name == step for field in dtype.fields):
        return _walk(column.struct.field(str(step)), rest)
    if isinstance(dtype, pl.List) and isinstance(step, int):
        return _walk(column.list.get(step, null_on_oob=True), rest)
    if isinstance(dtype, pl.Array) and isinstance(step, int):
        return _walk(column.arr.get(step, null_on_oob=True), rest)
    return pl.Series([None], dtype=pl.Null).new_from_index(0, len(column))


def _plain(column: pl.Series) -> pl.Series:
    """Bring what has several forms to one: text is String, times are UTC microseconds."""
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if isinstance(column.dtype, pl.Datetime):
        return as_text(column) if impossible(column).any() else parse_times(column)
    return column
