"""One DuckDB statement over a column, row for row in the same order."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import duckdb
import polars as pl

from flywheel.lake import sql


def run_rowwise(statement: str, rows: pl.DataFrame, parameters: dict[str, Any] | None = None) -> pl.DataFrame:
    """Run ``sql/{statement}.sql`` on the relation ``input``; the answer has a row for each one, in their order."""
    cursor = _database(os.getpid()).cursor()
    try:
        cursor.register("input", rows.to_arrow())
        answer = pl.DataFrame(cursor.sql(sql.load(statement), params=parameters or {}).to_arrow_table())
    finally:
        cursor.close()
    if answer.height != rows.height:
        raise AssertionError(f"{statement} gave {answer.height} rows for {rows.height}")
    return answer


@cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """One for each process: connecting takes longer than most statements, and a forked copy must not be used."""
    return duckdb.connect(config={"preserve_insertion_order": "true"})
