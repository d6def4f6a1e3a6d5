"""A small Delta table of our own, written as the loop writes its tables."""

from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl

from flywheel.lake.delta import append_once, open_table
from flywheel.lake.storage import Location, StorageMap
from flywheel.maintenance.compact import compact_table

APP = "p/records"
DAYS = ("2024-03-01", "2024-03-02", "2024-03-03")


def rows(number: int, day: str, count: int = 10) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prediction_id": [f"{number}-{index}" for index in range(count)],
            "batch_id": [number] * count,
            "score": [None, *(index / number for index in range(1, count))],
            "prediction": [{"label": "late", "score": index / count} for index in range(count)],
            "date": [day] * count,
        }
    ).with_columns(pl.col("date").str.to_date())


def append(location: Location, number: int, day: str | None = None, extra: bool = False) -> bool:
    """Append a batch, of the days in turn if none is given, with one column more if ``extra``."""
    batch = rows(number, day or DAYS[number % len(DAYS)])
    if extra:
        batch = batch.with_columns(extra=pl.lit(1.5)).select("prediction_id", "batch_id", "score", "prediction",
                                                             "extra", "date")  # fmt: skip
    return append_once(location, batch, APP, number, partition_by=["date"])


def made(folder: Path, batches: int = 9) -> Location:
    location = Location(str(folder))
    for number in range(1, batches + 1):
        append(location, number)
    return location


def content(location: Location) -> pl.DataFrame:
    return pl.read_delta(location.uri).sort("batch_id", "prediction_id")


def files(location: Location) -> int:
    table = open_table(location)
    return len(table.file_uris()) if table else 0


def age(folder: Path, pattern: str, days: float = 40) -> None:
    """Make files look as if they had been written so long ago."""
    then = time.time() - days * 86_400
    for path in folder.rglob(pattern):
        os.utime(path, (then, then))


def compact_again_and_again(path: str) -> int:
    return sum(compact_table(StorageMap(), Location(path)).replaced for _ in range(4))


def append_more(path: str) -> int:
    return sum(append(Location(path), number) for number in range(10, 25))
