"""CSV: comma-separated, with a header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.paths import column_of, pick_values
from flywheel.records.records import Records, read_records
from flywheel.sources.base import Slice
from flywheel.sources.csv_rows import CsvRows, find_fields
from flywheel.sources.formats import Peek, UnreadableFileError
from flywheel.sources.lines import BOM, Lines, Offsets, slices_of, split_lines, to_text
from flywheel.sources.stored import PartFile
from flywheel.sources.text_rows import next_rows, planned_rows

_FIRST_READ = 64 * 1024
_LONGEST_HEADER = 16 * 1024 * 1024


@dataclass(frozen=True)
class Header:
    """The column names, and the byte where the first row begins."""

    names: tuple[str, ...]
    text: str
    end: int


class CsvFormat:
    """Reads CSV files. Values are text, an empty field is null; a row of the wrong width is a record with an error."""

    def peek(self, file: PartFile, position: int, limit: int, paths: Sequence[JsonPath]) -> Peek:
        header = read_header(file)
        found = next_rows(file, position or header.end, limit, CsvRows(len(header.names)))
        fields = _decode(found.rows, header, paths)
        return Peek(pick_values(fields.columns, paths), found.position + found.rows.stops, found.complete)

    def read(self, file: PartFile, piece: Slice, paths: Sequence[JsonPath]) -> Records:
        header = read_header(file)
        rows = planned_rows(file, piece, int(piece.after) or header.end, CsvRows(len(header.names)))
        fields = _decode(rows, header, paths)
        raw = (
            pl.DataFrame({"line": rows.mended(rows.text())})
            .select(header=pl.lit(header.text), line="line")
            .to_struct("record")
        )
        return read_records(pick_values(fields.columns, paths), piece.part, piece.start, raw, fields.errors)


@dataclass(frozen=True)
class Decoded:
    """The columns that are needed, and what is wrong with each row (null: nothing)."""

    columns: pl.DataFrame
    errors: pl.Series


def read_header(file: PartFile) -> Header:
    """Return the first line; ``UnreadableFileError`` where the file does not begin with text."""
    length = _FIRST_READ
    while True:
        lines = split_lines(file.read(0, min(length, file.size))).not_blank()
        if len(lines) > 1 or length >= min(file.size, _LONGEST_HEADER):
            return _parse_header(lines)
        length *= 8


def _parse_header(lines: Lines) -> Header:
    begin = len(BOM) if lines.data[: len(BOM)].tobytes() == BOM else 0
    first = Lines(lines.data, np.maximum(lines.starts[:1], begin), lines.stops[:1])
    text = first.text()
    if text.null_count() or text.is_empty():
        raise UnreadableFileError("its first line is not a header in UTF-8")
    fields = find_fields(first)
    starts, stops = fields.of_rows(np.array([True]), int(fields.counts[0]))
    names = _unquote(to_text(slices_of(first.data, starts[0], stops[0]))).text.fill_null("")
    return Header(tuple(names), text[0], int(first.stops[0]))


def _decode(rows: Lines, header: Header, paths: Sequence[JsonPath]) -> Decoded:
    fields = find_fields(rows)
    good = fields.counts == len(header.names)
    starts, stops = fields.of_rows(good, len(header.names))
    needed = {name for path in paths if (name := column_of(path.segments, header.names)) is not None}
    place = np.where(good, np.cumsum(good) - 1, -1)
    errors = _width_errors(fields.counts, len(header.names))
    columns = []
    for name in sorted(needed):
        index = header.names.index(name)
        found = _unquote(to_text(slices_of(rows.data, starts[:, index], stops[:, index])))
        spread = pl.Series(place).replace(-1, None)
        columns.append(found.text.gather(spread).alias(name))
        errors = _first_error(errors, found.errors.gather(spread), name)
    frame = pl.DataFrame(columns) if columns else pl.DataFrame(height=len(rows))
    return Decoded(frame, errors)


@dataclass(frozen=True)
class Unquoted:
    text: pl.Series
    errors: pl.Series


def _unquote(text: pl.Series) -> Unquoted:
    """Take the quotes off; an empty field without them is null."""
    field = pl.col("field")
    quoted = field.str.starts_with('"')
    closed = quoted & field.str.ends_with('"') & (field.str.len_bytes() > 1)
    inner = field.str.slice(1).str.head(-1).str.replace_all('""', '"', literal=True)
    errors = (
        pl.when(field.is_null())
        .then(pl.lit("is not valid UTF-8"))
        .when(quoted & ~closed)
        .then(pl.lit("has a quote that is not closed"))
        .cast(pl.String)
    )
    value = pl.when(closed).then(inner).when(field != "").then(field)
    both = pl.DataFrame({"field": text}).select(value.alias("text"), errors.alias("errors"))
    return Unquoted(both["text"], both["errors"])


def _width_errors(counts: Offsets, columns: int) -> pl.Series:
    message = pl.format("has {} fields, the header has {}", pl.col("n"), pl.lit(columns))
    wrong = pl.when(pl.col("n") != columns).then(message).cast(pl.String)
    return pl.DataFrame({"n": counts}).select(wrong.alias("error")).to_series()


def _first_error(errors: pl.Series, more: pl.Series, name: str) -> pl.Series:
    if more.null_count() == len(more):
        return errors
    named = pl.format("column {} {}", pl.lit(name), pl.col("more"))
    return (
        pl.DataFrame({"errors": errors, "more": more}).select(pl.coalesce("errors", named).alias("error")).to_series()
    )
