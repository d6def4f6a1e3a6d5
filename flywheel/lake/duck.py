"""DuckDB, in memory, with its clock in UTC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import polars as pl

from flywheel.lake import sql


@contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection, closed at the end of the block. Nothing is downloaded or installed by it."""
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def query(connection: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, object]) -> pl.DataFrame:
    """Run ``sql/{statement}.sql`` and return its rows; its header names its relations and parameters."""
    return pl.DataFrame(connection.sql(sql.load(statement), params=dict(parameters)).to_arrow_table())
