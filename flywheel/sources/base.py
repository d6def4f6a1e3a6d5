"""What every source of records promises, whatever it reads from.

A source is asked twice: ``plan`` says which rows come next, and the ledger pins that; ``read`` gets exactly those rows,
now or years later. What has been planned is remembered per part (a file, the query) as ``Progress``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from flywheel.errors import FlywheelError, TransientError
from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import Records


class SourceError(FlywheelError):
    """A source can't be read, or no longer holds what was planned from it."""


class SourceDownError(SourceError, TransientError):
    """A source can't be reached, is silent, or the connection to it ended in the middle."""


class Slice(BaseModel):
    """Rows ``start`` (inclusive) to ``stop`` (exclusive) of one part of a source.

    Attributes
    ----------
    part
        A file's path relative to the source's folder, or ``query``.
    after, mark
        Where the slice begins and ends in the source's own terms (byte offsets, cursor values), written by ``plan`` and
        understood by the same source's ``read`` and later ``plan`` only.
    """

    model_config = ConfigDict(frozen=True)

    part: str
    start: int = Field(ge=0)
    stop: int = Field(ge=0)
    after: str = ""
    mark: str = ""

    @property
    def rows(self) -> int:
        return self.stop - self.start


class Progress(BaseModel):
    """How far the planned batches have come in a part: the ``stop`` and the ``mark`` of its last slice."""

    model_config = ConfigDict(frozen=True)

    rows: int
    mark: str


class Source(Protocol):
    """A source of records: replayable, resumable, and nothing is lost."""

    def plan(self, done: Mapping[str, Progress], as_of: datetime, max_rows: int) -> list[Slice]:
        """Return what to read next, at most ``max_rows`` rows; an empty list when nothing is new.

        A row can be planned once its ``received_at`` (by default its event time) is not after ``as_of``; a part is read
        up to, not including, its first row that can't. At most one slice a part. A slice may have no rows: it notes
        that a part is empty or unreadable.
        """
        ...

    def read(self, slices: Sequence[Slice], paths: Sequence[JsonPath]) -> Records:
        """Return the values at ``paths`` of the planned rows; the same slices give the same rows for ever."""
        ...
