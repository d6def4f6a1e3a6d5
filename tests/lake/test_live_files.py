"""The files that are followed commit by commit are those that delta-rs finds by reading the whole log."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.lake.delta import append_once
from flywheel.lake.live import live_files
from flywheel.lake.storage import Location

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)
ALWAYS = (date.min, date.max)


def rows(day: date, count: int = 3) -> pl.DataFrame:
    return pl.DataFrame({"number": range(count), "date": [day] * count})


def same(location: Location) -> bool:
    table = DeltaTable(location.uri)
    return sorted(file.uri for file in live_files(location, ALWAYS)) == sorted(table.file_uris())


class Writers:
    """Whoever may write to a table beside a run that follows it."""

    def __init__(self, folder: Path) -> None:
        self.location = Location(str(folder / "table"))
        self.number = 0
        self.ours()

    def ours(self) -> None:
        self.number += 1
        append_once(self.location, rows(FIRST), "app", self.number, partition_by=["date"])

    def theirs(self, added: pl.DataFrame | None = None) -> None:
        new = rows(SECOND) if added is None else added
        write_deltalake(self.location.uri, new.to_arrow(), mode="append", schema_mode="merge", partition_by=["date"])

    def compaction(self) -> None:
        DeltaTable(self.location.uri).optimize.compact()

    def deletion(self) -> None:
        DeltaTable(self.location.uri).delete("date = '2026-01-02'")

    def new_column(self) -> None:
        self.theirs(rows(SECOND).with_columns(more=pl.lit(1)))

    def checkpoint(self) -> None:
        DeltaTable(self.location.uri).create_checkpoint()

    def nobody(self) -> None:
        pass


STEPS = ["ours", "theirs", "compaction", "deletion", "new_column", "checkpoint", "nobody"]


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), min_size=3, max_size=10))
def test_followed_files_are_those_of_the_newest_version(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bool]]
) -> None:
    writers = Writers(tmp_path_factory.mktemp("followed"))
    for step, is_looked_at in steps:
        getattr(writers, step)()
        assert not is_looked_at or same(writers.location)
    assert same(writers.location)


def test_only_the_files_of_the_dates_that_are_asked_for(tmp_path: Path) -> None:
    writers = Writers(tmp_path)
    writers.theirs()
    (found,) = live_files(writers.location, (SECOND, SECOND))
    assert (found.date, found.rows) == (SECOND, 3)


def test_another_table_in_its_place_is_not_taken_for_it(tmp_path: Path) -> None:
    writers = Writers(tmp_path)
    before = live_files(writers.location, ALWAYS)
    shutil.rmtree(writers.location.uri)
    assert live_files(writers.location, ALWAYS) == []
    writers.ours()
    assert same(writers.location)
    assert live_files(writers.location, ALWAYS) != before


def test_a_commit_costs_one_file_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import flywheel.lake.live as live

    writers = Writers(tmp_path)
    live_files(writers.location, ALWAYS)
    writers.ours()
    monkeypatch.setattr(live, "open_table", None)  # reading the whole log again would raise
    assert same(writers.location)
