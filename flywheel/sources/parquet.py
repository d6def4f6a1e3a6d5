"""Parquet: only the columns that are needed, and only the row groups that hold the rows.

A row group is decoded whole, and usually holds the rows of many batches: the last ones are kept for the next batch.
"""

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

# Bytes of decoded columns that are kept.
_MOST_KEPT = 256 * 1024 * 1024


class ParquetFormat:
    """Reads Parquet files; a position is a row number. Columns keep their types."""

    def __init__(self) -> None:
        self._kept = _Decoded()

    def peek(self, file: PartFile, position: int, limit: int, paths: Sequence[JsonPath]) -> Peek:
        with _complaints():
            parquet = self._kept.opened(file)
            total = parquet.rows
            stop = max(position, min(position + limit, total))
            frame = parquet.read(position, stop, paths)
        return Peek(pick_values(frame, paths), np.arange(position + 1, stop + 1), stop >= total)

    def read(self, file: PartFile, piece: Slice, paths: Sequence[JsonPath]) -> Records:
        try:
            with _complaints():
                parquet = self._kept.opened(file)
                if parquet.rows < piece.stop:
                    raise changed_file(file, piece)
                frame = parquet.read(piece.start, piece.stop, paths)
        except UnreadableFileError as error:
            # Its rows were counted when it was planned, so every one of them is accounted for.
            return unreadable_records(piece.part, piece.start, piece.rows, f"is in a damaged file: {error}", paths)
        return read_records(pick_values(frame, paths), piece.part, piece.start, frame.to_struct("record"))


@contextmanager
def _complaints() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, pl.exceptions.PolarsError, KeyError, ValueError) as error:
        raise UnreadableFileError(_first_line(error)) from error
    except OSError as error:
        # Arrow reports damaged pages as an OSError without an errno; a real one is worth a retry, not a quarantine.
        if error.errno is not None or isinstance(error, FileNotFoundError):
            raise
        raise UnreadableFileError(_first_line(error)) from error


class _Decoded:
    """The file that was read last, with what was decoded of it."""

    def __init__(self) -> None:
        self._mark: object = None
        self._parquet: _Parquet | None = None

    def opened(self, file: PartFile) -> _Parquet:
        """Return the file as it is now; only its end is read, and that only if it is another than before."""
        mark = file.mark()
        if self._parquet is None or self._mark != mark:
            with file.open() as stream:
                self._parquet = _Parquet(file, pq.read_metadata(stream))
            self._mark = mark
        return self._parquet


class _Parquet:
    """A Parquet file as it was when its end was read."""

    def __init__(self, file: PartFile, metadata: pq.FileMetaData) -> None:
        self._file = file
        self._metadata = metadata
        self._schema = metadata.schema.to_arrow_schema()
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._bounds = np.cumsum([0, *sizes])
        self._last: dict[tuple[str, ...], tuple[int, pa.Table]] = {}

    @property
    def rows(self) -> int:
        return int(self._metadata.num_rows)

    def read(self, start: int, stop: int, paths: Sequence[JsonPath]) -> pl.DataFrame:
        """Return the rows ``start`` to ``stop`` (exclusive) with the columns that ``paths`` begin with."""
        bounds = self._bounds
        groups = [i for i in range(len(bounds) - 1) if bounds[i] < stop and bounds[i + 1] > start]
        leaves = tuple(_leaves(self._schema, paths))
        if not groups or not leaves:
            return pl.DataFrame(height=stop - start)
        tables = list(self._tables(groups, leaves))
        if bounds[groups[-1] + 1] > stop:
            self._keep(leaves, groups[-1], tables[-1])
        return _to_frame(pa.concat_tables(tables).slice(start - int(bounds[groups[0]]), stop - start))

    def _tables(self, groups: list[int], leaves: tuple[str, ...]) -> Iterator[pa.Table]:
        """Yield the columns of row groups; the last table is of the last group alone."""
        kept, table = self._last.pop(leaves, (None, None))
        if kept == groups[0]:
            yield table
            groups = groups[1:]
        if not groups:
            return
        with self._file.open() as stream, pq.ParquetFile(stream, metadata=self._metadata) as parquet:
            read = parquet.read_row_groups(groups, columns=list(leaves), use_threads=True)
        read.validate(full=True)  # Polars trusts Arrow's text to be UTF-8, and Arrow trusts the file's
        last = int(self._bounds[groups[-1]] - self._bounds[groups[0]])
        yield read.slice(0, last)
        yield read.slice(last)

    def _keep(self, leaves: tuple[str, ...], group: int, table: pa.Table) -> None:
        """Keep a row group that has more rows than were asked for."""
        if table.nbytes <= _MOST_KEPT:
            self._last[leaves] = (group, table)


def _to_frame(table: pa.Table) -> pl.DataFrame:
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
