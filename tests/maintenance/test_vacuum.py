"""Files go when no reader can need them any more, and not before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
from small_table import DAYS, age, append, content, files, made

from flywheel.lake.delta import open_table
from flywheel.lake.storage import StorageMap
from flywheel.maintenance.compact import compact_table
from flywheel.maintenance.vacuum import Freed, vacuum_table

STORAGE = StorageMap()
WEEK, NOW = timedelta(days=7), timedelta(0)


def on_disk(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("date=*/*.parquet"))


def test_replaced_files_stay_for_the_grace_period(tmp_path: Path) -> None:
    location = made(tmp_path / "table")
    table = open_table(location)
    assert table is not None
    reader = table.file_uris()
    before = content(location)
    compact_table(STORAGE, location)
    age(tmp_path / "table", "date=*/*.parquet")  # old, but replaced just now
    assert vacuum_table(STORAGE, location, WEEK) == Freed()
    assert pl.read_parquet(reader).height == before.height
    age(tmp_path / "table", "*.json", days=6)
    assert vacuum_table(STORAGE, location, WEEK) == Freed()
    age(tmp_path / "table", "*.json", days=8)
    freed = vacuum_table(STORAGE, location, WEEK)
    assert freed.files == 9
    assert freed.bytes > 0
    assert on_disk(tmp_path / "table") == files(location) == 3
    assert content(location).equals(before)
    assert vacuum_table(STORAGE, location, WEEK) == Freed()


def test_a_file_that_is_about_to_be_committed_stays(tmp_path: Path) -> None:
    location = made(tmp_path / "table", 3)
    unfinished = tmp_path / "table" / f"date={DAYS[0]}" / "part-00000-unfinished.parquet"
    unfinished.write_bytes(b"half")
    assert vacuum_table(STORAGE, location, WEEK) == Freed()
    age(tmp_path / "table", unfinished.name, days=8)
    assert vacuum_table(STORAGE, location, WEEK) == Freed(1, 4)
    assert content(location).height == 30


def test_nothing_that_is_named_goes_however_short_the_grace(tmp_path: Path) -> None:
    location = made(tmp_path / "table")
    table = open_table(location)
    assert table is not None
    table.delete(f"date = '{DAYS[1]}'")
    compact_table(STORAGE, location)
    append(location, 10)
    before = content(location)
    assert vacuum_table(STORAGE, location, NOW).files == 9
    assert content(location).equals(before)
    assert append(location, 10) is False


def test_other_peoples_files_stay(tmp_path: Path) -> None:
    location = made(tmp_path / "table", 3)
    for name in ("notes.txt", "_delta_log/notes.parquet", "_change_data/change.parquet", f"date={DAYS[0]}/vector.bin"):
        (tmp_path / "table" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "table" / name).write_text("mine")
    age(tmp_path / "table", "*")
    assert vacuum_table(STORAGE, location, WEEK) == Freed()


def test_where_there_is_no_table_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert vacuum_table(STORAGE, STORAGE.resolve(str(tmp_path / "none")), WEEK) == Freed()
