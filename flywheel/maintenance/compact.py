"""Compacts a table: the small files of each partition become one.

A batch writes a file into each partition that it touches, so a day has hundreds; readers open every one of them. What
is read while this goes on stays right: the files that are replaced stay for a while (``vacuum``), and so does the
version that names them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import obstore
import polars as pl
from deltalake import DeltaTable

from flywheel.errors import FlywheelError
from flywheel.lake.commit import statistics
from flywheel.lake.delta import open_table
from flywheel.lake.options import polars_options
from flywheel.lake.storage import Location, StorageMap, open_store
from flywheel.lake.trouble import reaching
from flywheel.maintenance.rewrite import DataFile, Rewrite

TARGET_BYTES = 128 * 1024 * 1024
_ATTEMPTS = 5
# The first writer version whose tables can hold what we do not know of, such as deletion vectors.
_UNKNOWN_FEATURES = 3


@dataclass(frozen=True)
class Compaction:
    """How many files there were, and how many of them became how many."""

    before: int = 0
    replaced: int = 0
    written: int = 0

    @property
    def after(self) -> int:
        return self.before - self.replaced + self.written

    def __add__(self, other: Compaction) -> Compaction:
        return Compaction(self.before + other.before, self.replaced + other.replaced, self.written + other.written)


def compact_table(storage: StorageMap, location: Location, target_bytes: int = TARGET_BYTES) -> Compaction:
    """Compact every partition of a table; appends and other compactions may go on at the same time.

    What another compaction is quicker with is left to it. Each file is a commit of its own, so a run that is killed has
    kept what it did.
    """
    done = Compaction()
    for attempt in range(_ATTEMPTS):
        table = open_table(location)
        if table is None or table.protocol().min_writer_version >= _UNKNOWN_FEATURES:
            break
        if attempt == 0:
            done += Compaction(before=len(data_files(table)))
        groups = list(_groups(table, target_bytes))
        rewrite = Rewrite(storage, location, table.version())
        replaced = [group for group in groups if rewrite.replace(group, by=_write_one(table, location, group))]
        done += Compaction(replaced=sum(map(len, replaced)), written=len(replaced))
        if len(replaced) == len(groups):
            break
    return done


def data_files(table: DeltaTable) -> list[DataFile]:
    """Return the files of a version, oldest first."""
    actions = pl.DataFrame(table.get_add_actions(flatten=True)).sort("modification_time", "path")
    if actions.is_empty():
        return []
    found = actions.select("path", "partition.date", "size_bytes", "num_records").iter_rows()
    return [DataFile(path, None if day is None else str(day), size, rows or 0) for path, day, size, rows in found]


def _groups(table: DeltaTable, target_bytes: int) -> Iterator[list[DataFile]]:
    """Yield the files that are to become one: small ones of the same partition, in the order that they came in."""
    partitions: dict[str | None, list[DataFile]] = {}
    for file in data_files(table):
        if file.size < target_bytes:
            partitions.setdefault(file.date, []).append(file)
    for files in partitions.values():
        yield from _filled(files, target_bytes)


def _filled(files: list[DataFile], target_bytes: int) -> Iterator[list[DataFile]]:
    group: list[DataFile] = []
    size = 0
    for file in files:
        group.append(file)
        size += file.size
        if size >= target_bytes:
            yield group
            group, size = [], 0
    if len(group) > 1:
        yield group


def _write_one(table: DeltaTable, location: Location, group: list[DataFile]) -> DataFile:
    """Write the rows of a group, in their order, as one file that no version names yet."""
    folder = group[0].path.rpartition("/")[0]
    path = f"{folder}/part-00000-{uuid.uuid4()}-c000.zstd.parquet"
    options = polars_options(location)
    rows = pl.scan_parquet(
        [f"{location.uri}/{file.path}" for file in group],
        schema=_schema_of_files(table),
        hive_partitioning=False,
        missing_columns="insert",
        storage_options=options,
    )
    with reaching(location):
        rows.sink_parquet(f"{location.uri}/{path}", compression="zstd", storage_options=options)
        stats = statistics(pl.scan_parquet(f"{location.uri}/{path}", storage_options=options))
        expected = rows.select(pl.len()).collect().item()
        size = obstore.head(open_store(location), path)["size"]
    if stats["numRecords"] != expected:
        raise FlywheelError(
            f"compacting {location.uri}/{folder} gave {stats['numRecords']:,} rows out of {expected:,}",
            state="the table is as it was",
            next_step="run maintain again; if this comes again, the file system loses what is written to it",
        )
    return DataFile(path, group[0].date, size, stats["numRecords"], json.dumps(stats))


def _schema_of_files(table: DeltaTable) -> pl.Schema:
    """The table's columns without the partition, which is in the paths."""
    whole = pl.Schema(table.schema().to_arrow())
    return pl.Schema({name: dtype for name, dtype in whole.items() if name != "date"})
