"""A batch of records as a source read it: the values asked for, where each came from, and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flywheel.records.text import as_text, json_text

WHOLE_FILE = -1


@dataclass(frozen=True)
class Records:
    """Records in the order they were read; every attribute has one entry a record.

    Attributes
    ----------
    values
        A column per requested path, named like it; null where a record has no such value. Text formats give String
        columns, the others their own types (times always as UTC microseconds).
    parts, rows
        The part of the source (String) and the row in it (Int64, from 0), or ``WHOLE_FILE`` for an unreadable file.
    errors
        Why a record could not be read (String); null where it could.
    raw
        The records as they were read, in chunks: text (String) or columns (Struct).
    """

    values: pl.DataFrame
    parts: pl.Series
    rows: pl.Series
    errors: pl.Series
    raw: tuple[pl.Series, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def raw_json(self, mask: pl.Series) -> pl.Series:
        """Return the records where ``mask`` is true as JSON text (where a line is not JSON: the line as it stands).

        >>> raw = pl.DataFrame({"a": [1, 2], "b": ["x", None]}).to_struct()
        >>> records = read_records(pl.DataFrame({"$.a": [1, 2]}), "day-1.parquet", 0, raw)
        >>> records.raw_json(pl.Series([False, True])).to_list()
        ['{"a":2,"b":null}']
        """
        texts, start = [pl.Series("record", [], dtype=pl.String)], 0
        for chunk in self.raw:
            wanted = chunk.filter(mask.slice(start, len(chunk)))
            texts.append(json_text(wanted).alias("record"))
            start += len(chunk)
        return pl.concat(texts)


def read_records(
    values: pl.DataFrame, part: str, start: int, raw: pl.Series, errors: pl.Series | None = None
) -> Records:
    """Return the records that are rows ``start``, ``start + 1``, … of ``part``."""
    count = len(raw)
    nothing = pl.Series("error", [None], dtype=pl.String).new_from_index(0, count)
    return Records(
        values=values,
        parts=pl.Series("part", [part], dtype=pl.String).new_from_index(0, count),
        rows=pl.int_range(start, start + count, dtype=pl.Int64, eager=True).alias("row"),
        errors=nothing if errors is None else errors.alias("error"),
        raw=(raw,),
    )


def unreadable_records(part: str, start: int, count: int, error: str, paths: Sequence[str]) -> Records:
    """Return ``count`` records of which nothing is known but where they are and why they can't be read."""
    values = pl.DataFrame(schema=dict.fromkeys(paths, pl.String)).clear(count)
    errors = pl.Series([error], dtype=pl.String).new_from_index(0, count)
    raw = pl.Series([None], dtype=pl.String).new_from_index(0, count)
    return read_records(values, part, start, raw, errors)


def concat_records(chunks: Sequence[Records], paths: Sequence[str]) -> Records:
    """Put batches one after another; a column that is of different types in them becomes text."""
    chunks = chunks or [unreadable_records("", 0, 0, "", paths)]
    columns = [_concat_column([chunk.values[path] for chunk in chunks]).alias(path) for path in dict.fromkeys(paths)]
    # In one piece each: Polars 2.1 panics on when/then over columns whose first pieces are filtered empty.
    return Records(
        values=pl.DataFrame(columns).rechunk(),
        parts=pl.concat([chunk.parts for chunk in chunks], rechunk=True),
        rows=pl.concat([chunk.rows for chunk in chunks], rechunk=True),
        errors=pl.concat([chunk.errors for chunk in chunks], rechunk=True),
        raw=tuple(series for chunk in chunks for series in chunk.raw),
    )


def _concat_column(columns: list[pl.Series]) -> pl.Series:
    dtypes = {column.dtype for column in columns if column.null_count() < len(column)}
    if len(dtypes) > 1:
        return pl.concat([as_text(column) for column in columns])
    dtype = dtypes.pop() if dtypes else pl.String
    return pl.concat([column if column.dtype == dtype else _nulls(len(column), dtype) for column in columns])


def _nulls(count: int, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    return pl.Series([None], dtype=dtype).new_from_index(0, count)
