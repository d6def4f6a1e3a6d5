"""DuckDB, in memory, with its clock in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb


@contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory connection, closed at the end of the block. Nothing is downloaded or installed by it."""
    config = {
        "TimeZone": "UTC",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "true",
        "preserve_insertion_order": "false",
    }
    connection = duckdb.connect(":memory:", config={})
    try:
        for name, value in config.items():
            connection.execute(f"SET {name} = '{value}'")
        yield connection
    finally:
        connection.close()
