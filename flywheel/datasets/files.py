"""Writes a file of a dataset: whole, or not at all."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl


def write_parquet(rows: pl.DataFrame, path: Path) -> None:
    """Write ``rows`` to ``path`` through a hidden file beside it, which a source does not read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    rows.write_parquet(unfinished)
    unfinished.replace(path)


def write_lines(lines: list[str], path: Path) -> None:
    """Write ``lines`` to ``path`` through a hidden file beside it, which a source does not read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_bytes("".join(line + "\n" for line in lines).encode())
    unfinished.replace(path)


def by_day(rows: pl.DataFrame, time: str) -> list[tuple[date, pl.DataFrame]]:
    """Split ``rows`` by the UTC date of the column ``time``, days in order, rows in the order they had."""
    days = rows.with_columns(pl.col(time).dt.date().alias("_day")).partition_by(
        "_day", as_dict=True, include_key=False, maintain_order=True
    )
    return sorted(((day, part) for (day,), part in days.items()), key=lambda item: item[0])
