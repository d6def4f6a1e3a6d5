"""Values out of JSON text, a column at a time; a bad line costs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flywheel.records.rowwise import run_rowwise

Segments = tuple[str | int, ...]


@dataclass(frozen=True)
class JsonValues:
    """``columns``: the values as text, a String series per path. ``kinds``: OBJECT, ARRAY, …; null where not JSON."""

    columns: list[pl.Series]
    kinds: pl.Series


def extract_json(texts: pl.Series, paths: Sequence[Segments]) -> JsonValues:
    """Return the values at ``paths`` of each text as String; null where there is none, or where it is JSON's null.

    NaN and Infinity, which Python's json writes, are read.

    >>> extract_json(pl.Series(['{"a": [1, 2.50]}', "{oops"]), [("a", -1), ("b",)]).columns[0].to_list()
    ['2.5', None]
    """
    parameters = {"paths": [_duckdb_path(path) for path in paths]}
    answer = run_rowwise("extract_json", pl.DataFrame({"line": texts}), parameters)
    # An invalid text has no list at all; a list of nulls keeps the flat column aligned.
    lists = answer["found"].fill_null(pl.Series([[None] * len(paths)], dtype=pl.List(pl.String)))
    flat = lists.explode() if paths and len(texts) else pl.Series([], dtype=pl.String)
    columns = [flat.gather_every(len(paths), place) for place in range(len(paths))]
    return JsonValues(columns, answer["kind"])


def _duckdb_path(path: Segments) -> str:
    """A JSON pointer (RFC 6901), which any key fits in; only an index from the end needs DuckDB's own path syntax."""
    if any(isinstance(step, int) and step < 0 for step in path):
        return "$" + "".join(_path_step(step) for step in path)
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _path_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[#{step}]" if step < 0 else f"[{step}]"
    escaped = step.replace("\\", "\\\\").replace('"', '\\"')
    return f'."{escaped}"'
