"""Deletes the files that no version within the grace period names, and shortens the log.

delta-rs has a vacuum too, in whole hours, that writes two commits each time. This one asks the log which files were
removed lately, and leaves no trace of itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from flywheel.lake.delta import open_table
from flywheel.lake.storage import Location, StorageMap, StoredFile
from flywheel.lake.trouble import reaching
from flywheel.maintenance.compact import data_files

_LOG = "_delta_log"


@dataclass(frozen=True)
class Freed:
    """Files that were deleted, and how many bytes they had."""

    files: int = 0
    bytes: int = 0


def vacuum_table(storage: StorageMap, location: Location, grace: timedelta) -> Freed:
    """Delete a table's Parquet files that were neither written nor still named within the grace period.

    A file is written before the commit that names it, and a reader looks a version's files up before it reads them:
    both must be done within ``grace``.
    """
    limit = datetime.now(UTC) - grace
    stored = storage.list_files(location.uri)
    old = [file for file in stored if _is_data(file) and file.modified < limit]
    table = open_table(location)  # after the listing: what has been committed since is young
    if table is None or not old:
        return Freed()
    named = {file.path for file in data_files(table)}
    unnamed = [file for file in old if file.path not in named]
    if unnamed:
        lately = set(_removed_since(storage, location, stored, limit))
        unnamed = [file for file in unnamed if file.path not in lately]
    for file in unnamed:
        storage.delete(f"{location.uri}/{file.path}")
    return Freed(len(unnamed), sum(file.size for file in unnamed))


def shorten_log(location: Location) -> None:
    """Write a checkpoint, and delete the log files before it that are older than the table's log retention."""
    table = open_table(location)
    if table is None:
        return
    with reaching(location):
        table.create_checkpoint()
        table.cleanup_metadata()


def _is_data(file: StoredFile) -> bool:
    return file.path.endswith(".parquet") and not any(part.startswith("_") for part in file.path.split("/"))


def _removed_since(storage: StorageMap, location: Location, stored: list[StoredFile], limit: datetime) -> Iterator[str]:
    """Yield the paths that commits since ``limit`` have removed: versions before them still name those files."""
    for file in stored:
        if file.path.startswith(f"{_LOG}/") and file.path.endswith(".json") and file.modified >= limit:
            for line in storage.read_bytes(f"{location.uri}/{file.path}").splitlines():
                if (path := json.loads(line).get("remove", {}).get("path")) is not None:
                    yield unquote(path)
