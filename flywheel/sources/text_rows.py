"""Reads ahead in a text file until there are enough rows, and leaves a row that is still being written alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from flywheel.sources.base import Slice
from flywheel.sources.formats import changed_file
from flywheel.sources.lines import Lines
from flywheel.sources.mark import FileMark
from flywheel.sources.stored import PartFile

SETTLED = timedelta(seconds=60)
_FIRST_READ = 64 * 1024
_GROWTH = 2


@dataclass(frozen=True)
class SplitText:
    """The rows of a piece of text; from byte ``open_from`` on there may be an unfinished one (None: all are whole)."""

    rows: Lines
    open_from: int | None


class RowSplitter(Protocol):
    """Knows where a format's rows end."""

    def split(self, content: bytes) -> SplitText:
        """Split text that begins with a row; blank lines are not rows."""
        ...

    def is_whole(self, rows: Lines) -> bool:
        """Whether rows that may be unfinished can be taken as they are."""
        ...


@dataclass(frozen=True)
class NextRows:
    """Rows from ``position`` on; ``complete``: nothing follows them in the file as it is now."""

    rows: Lines
    position: int
    complete: bool


def next_rows(file: PartFile, position: int, limit: int, splitter: RowSplitter) -> NextRows:
    """Return at most ``limit`` finished rows.

    A last line without its line end is taken if it is whole, or if nobody has written to the file for a minute.
    """
    length = _FIRST_READ
    while True:
        stop = min(position + length, file.size)
        found = splitter.split(file.read(position, stop))
        at_end = stop == file.size
        rows, held_back = _finished(found, splitter, wait=not (at_end and _is_settled(file)), at_end=at_end)
        if len(rows) >= limit or at_end:
            return NextRows(rows.first(limit), position, at_end and not held_back and len(rows) <= limit)
        length = max(_GROWTH * length, limit * length // max(1, len(rows)))


def planned_rows(file: PartFile, piece: Slice, begin: int, splitter: RowSplitter) -> Lines:
    """Return the rows of a planned slice, which begins at byte ``begin``."""
    stop = FileMark.parse(piece.mark).position
    rows = splitter.split(file.read(begin, stop)).rows
    if len(rows) != piece.rows:
        raise changed_file(file, piece)
    return rows


def _finished(found: SplitText, splitter: RowSplitter, *, wait: bool, at_end: bool) -> tuple[Lines, bool]:
    if found.open_from is None or not wait:
        return found.rows, False
    is_open = found.rows.starts >= found.open_from
    if at_end and splitter.is_whole(found.rows.keep(is_open)):
        return found.rows, False
    return found.rows.keep(~is_open), True


def _is_settled(file: PartFile) -> bool:
    return file.modified is None or datetime.now(UTC) - file.modified > SETTLED
