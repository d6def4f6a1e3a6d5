"""The files of a table's newest version, for who asks often: only the commits since the last time are read.

delta-rs reads a log anew from its last checkpoint, which costs a micro-batch more than scoring its rows. Here a commit
is applied to what was known before it, as the Delta protocol says: ``add`` brings a file, ``remove`` takes one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from threading import Lock
from typing import Any

import polars as pl

from flywheel.lake.commit import version_file
from flywheel.lake.delta import open_table
from flywheel.lake.storage import Location, file_mark, read_marked
from flywheel.lake.trouble import reaching

_MOST_TABLES = 64
# A file that the log says no number of rows of is taken for a long one.
_UNKNOWN = 1 << 40
# What a commit may say that changes nothing about the files.
_BESIDE_THE_FILES = {"commitInfo", "txn"}


@dataclass(frozen=True)
class LiveFile:
    """A data file: where it is, its partition, and how many rows it has."""

    uri: str
    date: date | None
    rows: int


@dataclass
class _Known:
    """The files of a version by their paths, and what that version's commit can be known by."""

    version: int
    mark: str | None
    files: dict[str, LiveFile]


_known: dict[str, _Known] = {}
_lock = Lock()


def live_files(location: Location, dates: tuple[date, date]) -> list[LiveFile]:
    """Return the files of the newest version with rows of these dates (inclusive); none where there is no table."""
    with _lock:
        known = _known.pop(location.uri, None)
        if known is None or not _catch_up(location, known):
            known = _opened(location)
        if known is None:
            return []
        if len(_known) >= _MOST_TABLES:
            _known.clear()
        _known[location.uri] = known
        return [file for file in known.files.values() if file.date is not None and dates[0] <= file.date <= dates[1]]


def _opened(location: Location) -> _Known | None:
    table = open_table(location)
    if table is None:
        return None
    with reaching(location):
        added = pl.DataFrame(table.get_add_actions(flatten=True))
    rows = pl.col("num_records").fill_null(_UNKNOWN)
    wanted = added.select("path", day=pl.col("partition.date").cast(pl.Date), rows=rows)
    files = {path: LiveFile(f"{location.uri}/{path}", day, rows) for path, day, rows in wanted.iter_rows()}
    return _Known(table.version(), file_mark(version_file(location, table.version())), files)


def _catch_up(location: Location, known: _Known) -> bool:
    """Apply the commits that came later; False where the table is another, or one of them is left to delta-rs."""
    if known.mark is None or file_mark(version_file(location, known.version)) != known.mark:
        return False
    while (commit := read_marked(version_file(location, known.version + 1))) is not None:
        content, known.mark = commit
        known.version += 1
        if not _apply(location, content, known.files):
            return False
    return True


def _apply(location: Location, commit: bytes, files: dict[str, LiveFile]) -> bool:
    for line in commit.splitlines():
        ((kind, action),) = json.loads(line).items()
        if not _is_plain(kind, action):
            return False
        if kind == "add":
            files[action["path"]] = _added(location, action)
        elif kind == "remove":
            files.pop(action["path"], None)
    return True


def _is_plain(kind: str, action: Mapping[str, Any]) -> bool:
    """Whether an action is understood here."""
    if kind not in ("add", "remove"):
        return kind in _BESIDE_THE_FILES
    has_rows = kind == "remove" or '"numRecords"' in (action.get("stats") or "")
    return has_rows and "%" not in action["path"] and not action.get("deletionVector")


def _added(location: Location, action: Mapping[str, Any]) -> LiveFile:
    day = action["partitionValues"]["date"]
    rows = json.loads(action["stats"])["numRecords"]
    return LiveFile(f"{location.uri}/{action['path']}", date.fromisoformat(day) if day else None, rows)
