"""One append to a Delta table, by the protocol's own rule: a version is a file of the log, created if it is not there.

delta-rs plans a query for every append, and reads the log before it and again after it. What is needed here is less:
the rows as Parquet files that no version names yet, and a commit behind the version that was looked at. If another
writer's is there already, nothing has been appended.
"""

from __future__ import annotations

import io
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import polars.selectors as cs

from flywheel.lake.storage import Location, put_new, read_file, write_file

if TYPE_CHECKING:
    from deltalake import DeltaTable

# What a table may ask of its writers from the third version on, we don't know of.
_KNOWN_WRITER_VERSION = 2
_PLAIN_VALUE = re.compile(r"[\w.-]+", re.ASCII)
_PARTITIONS: tuple[list[str], ...] = ([], ["date"])
_CHECKPOINT = "delta.checkpointInterval"
_DEFAULT_CHECKPOINT = 100


@dataclass(frozen=True)
class Seen:
    """A table as a writer has seen it.

    Attributes
    ----------
    version
        The newest version of that moment.
    schema
        The table's columns; None where it asks something of writers that only delta-rs knows how to give.
    partition_by
        The columns that its folders are named by.
    checkpoint_every
        After how many versions a reader is to be spared the log before.
    """

    version: int
    schema: pl.Schema | None
    partition_by: list[str]
    checkpoint_every: int

    @classmethod
    def of(cls, table: DeltaTable) -> Seen:
        metadata = table.metadata()
        fields = table.schema().fields
        is_plain = table.protocol().min_writer_version <= _KNOWN_WRITER_VERSION and all(
            field.nullable and not field.metadata for field in fields
        )
        return cls(
            version=table.version(),
            schema=pl.Schema(table.schema().to_arrow()) if is_plain else None,
            partition_by=list(metadata.partition_columns),
            checkpoint_every=int(metadata.configuration.get(_CHECKPOINT) or _DEFAULT_CHECKPOINT),
        )

    def at(self, version: int) -> Seen:
        """The same table at another version, which changed nothing but rows."""
        return replace(self, version=version)

    def takes(self, rows: pl.DataFrame, partition_by: list[str]) -> bool:
        """Whether the rows are the table's as they are: no new column, no other type, a partition in plain letters."""
        if self.schema is None or self.partition_by != partition_by or partition_by not in _PARTITIONS:
            return False
        known = self.schema
        if any(known.get(name) != dtype for name, dtype in rows.schema.items()):
            return False
        return not partition_by or all(_PLAIN_VALUE.fullmatch(str(value)) for value in rows["date"].unique())


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a table that some version may come to name: ``path`` in its folder, ``size`` in bytes."""

    path: str
    partition: Mapping[str, str | None]
    size: int
    stats: str


def write_files(location: Location, rows: pl.DataFrame, partition_by: list[str]) -> list[DataFile]:
    """Write the rows, in their order, as one file for each partition."""
    return [_write(location, part, partition) for partition, part in _parts(rows, partition_by)]


def commit(location: Location, version: int, files: Sequence[DataFile], app: str, number: int) -> str | None:
    """Commit, as ``version``, that the table has these files and with them batch ``number`` of ``app``.

    Returns
    -------
    str | None
        What the commit's file can be known by, None where another writer's commit is that version.
    """
    place = version_file(location, version)
    mark = put_new(place, _actions(version, files, app, number))
    if mark is None and files[0].path.encode() in read_file(place):
        return ""  # ours nevertheless: the answer to an earlier try was lost
    return mark


def version_file(location: Location, version: int) -> Location:
    """Return where the log of a table has a version."""
    return location.child("_delta_log", f"{version:020}.json")


def statistics(rows: pl.LazyFrame) -> dict[str, Any]:
    """What readers skip files by: of columns whose smallest and largest values can be written down exactly, and times.

    As the protocol says, times are cut off to milliseconds.
    """
    names = rows.select(cs.integer() | cs.date() | cs.datetime()).collect_schema().names()
    bounds = {"minValues": pl.Expr.min, "maxValues": pl.Expr.max, "nullCount": pl.Expr.null_count}
    asked = [ask(pl.col(name)).alias(f"{bound} {name}") for bound, ask in bounds.items() for name in names]
    found = rows.select(pl.len(), *asked).collect().row(0, named=True)
    told = {bound: {name: found[f"{bound} {name}"] for name in names} for bound in bounds}
    written = {
        bound: {name: _written(value) for name, value in values.items() if value is not None}
        for bound, values in told.items()
    }
    return {"numRecords": found["len"], **written}


def _written(value: int | date | datetime) -> int | str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def _parts(rows: pl.DataFrame, partition_by: list[str]) -> Iterator[tuple[dict[str, str | None], pl.DataFrame]]:
    if not partition_by:
        yield {}, rows
        return
    for (value,), part in rows.partition_by("date", as_dict=True, include_key=False, maintain_order=True).items():
        yield {"date": None if value is None else str(value)}, part


def _write(location: Location, rows: pl.DataFrame, partition: Mapping[str, str | None]) -> DataFile:
    folder = "".join(f"{name}={value or '__HIVE_DEFAULT_PARTITION__'}/" for name, value in partition.items())
    path = f"{folder}part-00000-{uuid.uuid4()}-c000.snappy.parquet"
    content = io.BytesIO()
    # Until the table is compacted; zstd makes it a seventh smaller, in twice the time.
    rows.write_parquet(content, compression="snappy")
    write_file(location.child(path), content.getvalue())
    return DataFile(path, partition, content.tell(), json.dumps(statistics(rows.lazy())))


def _actions(version: int, files: Sequence[DataFile], app: str, number: int) -> bytes:
    now = time.time_ns() // 1_000_000
    by = list(files[0].partition)
    info = {
        "timestamp": now,
        "operation": "WRITE",
        "operationParameters": {"mode": "Append", "partitionBy": json.dumps(by)},
        "readVersion": version - 1,
        "isBlindAppend": True,
        "engineInfo": "flywheel",
    }
    actions = [
        {"commitInfo": info},
        {"txn": {"appId": app, "version": number, "lastUpdated": now}},
        *({"add": _added(file, now)} for file in files),
    ]
    return "\n".join(json.dumps(action) for action in actions).encode()


def _added(file: DataFile, now: int) -> dict[str, Any]:
    return {
        "path": file.path,
        "partitionValues": dict(file.partition),
        "size": file.size,
        "modificationTime": now,
        "dataChange": True,
        "stats": file.stats,
    }
