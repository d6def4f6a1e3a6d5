"""Threads that share a source use it one at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import Records, unreadable_records
from flywheel.sources.base import Progress, Slice
from flywheel.sources.shared import SharedSource


class Crowded:
    """A source that notes how many are in it."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0

    def plan(self, done: Mapping[str, Progress], as_of: datetime, max_rows: int) -> list[Slice]:
        self._stay()
        return [Slice(part="a", start=0, stop=max_rows)]

    def read(self, slices: Sequence[Slice], paths: Sequence[JsonPath]) -> Records:
        self._stay()
        return unreadable_records("a", 0, slices[0].rows, "", list(paths))

    def _stay(self) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.002)
        self.inside -= 1


def test_one_thread_at_a_time() -> None:
    crowded = Crowded()
    source = SharedSource(crowded)

    def use(rows: int) -> int:
        return len(source.read(source.plan({}, datetime(2026, 1, 1, tzinfo=UTC), rows), []))

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(use, range(20))) == list(range(20))
    assert crowded.most == 1
