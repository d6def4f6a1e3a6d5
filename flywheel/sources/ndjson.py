"""NDJSON: one JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.json_values import extract_json
from flywheel.records.records import Records, read_records
from flywheel.sources.base import Slice
from flywheel.sources.formats import Peek
from flywheel.sources.lines import BOM, Lines, split_lines
from flywheel.sources.stored import PartFile
from flywheel.sources.text_rows import SplitText, next_rows, planned_rows


class NdjsonRows:
    """Rows are lines; blank ones are none."""

    def split(self, content: bytes) -> SplitText:
        lines = split_lines(content)
        open_from = None if lines.terminated else int(lines.starts[-1])
        return SplitText(lines.not_blank(), open_from)

    def is_whole(self, rows: Lines) -> bool:
        return extract_json(rows.text(), []).kinds.null_count() == 0


class NdjsonFormat:
    """Reads NDJSON files. Values are text; a line that is not a JSON object is a record with an error."""

    def peek(self, file: PartFile, position: int, limit: int, paths: Sequence[JsonPath]) -> Peek:
        found = next_rows(file, _begin(file, position), limit, NdjsonRows())
        values = extract_json(found.rows.text(), [path.segments for path in paths]).columns
        named = [column.alias(path) for column, path in zip(values, paths, strict=True)]
        return Peek(pl.DataFrame(named), found.position + found.rows.stops, found.complete)

    def read(self, file: PartFile, piece: Slice, paths: Sequence[JsonPath]) -> Records:
        rows = planned_rows(file, piece, _begin(file, int(piece.after)), NdjsonRows())
        text = rows.text()
        found = extract_json(text, [path.segments for path in paths])
        values = pl.DataFrame([column.alias(path) for column, path in zip(found.columns, paths, strict=True)])
        return read_records(values, piece.part, piece.start, rows.mended(text), json_errors(text, found.kinds))


def _begin(file: PartFile, position: int) -> int:
    return len(BOM) if position == 0 and file.read(0, min(len(BOM), file.size)) == BOM else position


def json_errors(text: pl.Series, kinds: pl.Series) -> pl.Series:
    """Say of each text that is not a JSON object why it can't be read; null of the others."""
    error = (
        pl.when(pl.col("text").is_null())
        .then(pl.lit("is not valid UTF-8"))
        .when(pl.col("kind").is_null())
        .then(pl.lit("is not valid JSON"))
        .when(pl.col("kind") != "OBJECT")
        .then(pl.lit("is JSON, but not an object"))
    )
    return pl.DataFrame({"text": text, "kind": kinds}).select(error.cast(pl.String).alias("error")).to_series()
