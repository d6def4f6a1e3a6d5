"""A source that several threads use: one of them at a time, since sources keep what they have open and decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import Records
from flywheel.sources.base import Progress, Slice, Source


class SharedSource:
    """``source``, for any thread."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = Lock()

    def plan(self, done: Mapping[str, Progress], as_of: datetime, max_rows: int) -> list[Slice]:
        """See ``Source.plan``."""
        with self._lock:
            return self._source.plan(done, as_of, max_rows)

    def read(self, slices: Sequence[Slice], paths: Sequence[JsonPath]) -> Records:
        """See ``Source.read``."""
        with self._lock:
            return self._source.read(slices, paths)
