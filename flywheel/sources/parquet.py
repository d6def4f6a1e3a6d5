"""Parquet: only the columns that are needed, and only the row groups that hold the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.paths import column_of, pick_values
from flywheel.records.records import Records, read_records, unreadable_records
from flywheel.sources.base import Slice
from flywheel.sources.formats import Peek, UnreadableFileError, changed_file
from flywheel.sources.stored import PartFile


class ParquetFormat:
    """Reads Parquet files; a position is a row number. Columns keep their types."""

    def peek(self, file: PartFile, position: int, limit: int, paths: Sequence[JsonPath]) -> Peek:
        with _opened(file) as parquet:
            total = parquet.metadata.num_rows
            stop = max(position, min(position + limit, total))
            frame = _read_rows(parquet, position, stop, paths)
        return Peek(pick_values(frame, paths), np.arange(position + 1, stop + 1), stop >= total)

    def read(self, file: PartFile, piece: Slice, paths: Sequence[JsonPath]) -> Records:
        try:
            with _opened(file) as parquet:
                if parquet.metadata.num_rows < piece.stop:
                    raise changed_file(file, piece)
                frame = _read_rows(parquet, piece.start, piece.stop, paths)
        except UnreadableFileError as error:
            # Its rows were counted when it was planned, so every one of them is accounted for.
            return unreadable_records(piece.part, piece.start, piece.rows, f"is in a damaged file: {error}", paths)
        return read_records(pick_values(frame, paths), piece.part, piece.start, frame.to_struct("record"))


@contextmanager
def _opened(file: PartFile) -> Iterator[pq.ParquetFile]:
    try:
        with file.open() as stream, pq.ParquetFile(stream) as parquet:
            yield parquet
    except (pa.ArrowException, pl.exceptions.PolarsError, KeyError, ValueError) as error:
        raise UnreadableFileError(_first_line(error)) from error
    except OSError as error:
        # Arrow reports damaged pages as an OSError without an errno; a real one is worth a retry, not a quarantine.
        if error.errno is not None or isinstance(error, FileNotFoundError):
            raise
        raise UnreadableFileError(_first_line(error)) from error


def _read_rows(parquet: pq.ParquetFile, start: int, stop: int, paths: Sequence[JsonPath]) -> pl.DataFrame:
    bounds = np.cumsum([0] + [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)])
    groups = [i for i in range(parquet.num_row_groups) if bounds[i] < stop and bounds[i + 1] > start]
    leaves = _leaves(parquet.schema_arrow, paths)
    if not groups or not leaves:
        return pl.DataFrame(height=stop - start)
    table = parquet.read_row_groups(groups, columns=leaves, use_threads=True)
    return _to_frame(table.slice(start - int(bounds[groups[0]]), stop - start))


def _to_frame(table: pa.Table) -> pl.DataFrame:
    table.validate(full=True)  # Polars trusts Arrow's text to be UTF-8, and Arrow trusts the file's
    schema = pa.schema([field.with_type(_in_utc(field.type)) for field in table.schema])
    try:
        return pl.DataFrame(table if schema == table.schema else table.cast(schema)).rechunk()
    except pl.exceptions.PanicException as error:  # a type that Polars has no equal of, e.g. decimals of 256 bits
        raise UnreadableFileError(_first_line(error)) from error


def _in_utc(dtype: pa.DataType) -> pa.DataType:
    """Return a type whose times are in UTC, which is how they are stored; Polars does not know offsets like +05:30."""
    if pa.types.is_timestamp(dtype) and dtype.tz is not None:
        return pa.timestamp(dtype.unit, "UTC")
    if pa.types.is_struct(dtype):
        return pa.struct([field.with_type(_in_utc(field.type)) for field in dtype.fields])
    if pa.types.is_list(dtype):
        return pa.list_(dtype.value_field.with_type(_in_utc(dtype.value_type)))
    return dtype


def _leaves(schema: pa.Schema, paths: Sequence[JsonPath]) -> list[str]:
    """Return the dotted names that Arrow reads only the needed fields of structs by."""
    leaves = []
    for path in paths:
        name = column_of(path.segments, schema.names)
        if name is None:
            continue
        dtype, leaf = schema.field(name).type, name
        for step in path.segments[1:] if name == path.segments[0] else ():
            if not pa.types.is_struct(dtype) or dtype.get_field_index(str(step)) < 0:
                break
            dtype, leaf = dtype.field(str(step)).type, f"{leaf}.{step}"
        leaves.append(leaf)
    return list(dict.fromkeys(leaves))


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
