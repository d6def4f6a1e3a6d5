"""Compaction changes how many files a table has, and nothing else, whoever writes at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from parcels import Parcels, end_of, known_after
from plain import run
from small_table import APP, DAYS, age, append, append_more, compact_again_and_again, content, files, made
from state import tables_of

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.lake.delta import open_table
from flywheel.lake.storage import Location, StorageMap
from flywheel.maintenance import compact
from flywheel.maintenance.compact import Compaction, compact_table, data_files
from flywheel.maintenance.retention import tables_of as tables_by_name
from flywheel.maintenance.rewrite import Rewrite
from flywheel.maintenance.vacuum import shorten_log
from flywheel.serving.server import ModelServer

STORAGE = StorageMap()


def table_at(location: Location) -> DeltaTable:
    table = open_table(location)
    assert table is not None
    return table


def test_a_file_a_day_with_the_same_rows(tmp_path: Path) -> None:
    location = made(tmp_path / "table")
    before = content(location)
    assert compact_table(STORAGE, location) == Compaction(before=9, replaced=9, written=3)
    assert files(location) == 3
    assert content(location).equals(before)
    assert compact_table(STORAGE, location) == Compaction(before=3)


def test_every_reader_reads_it(tmp_path: Path) -> None:
    location = made(tmp_path / "table")
    before = content(location)
    compact_table(STORAGE, location)
    table = table_at(location)
    assert pl.DataFrame(table.to_pyarrow_table()).sort("batch_id", "prediction_id").equals(before)
    with duckdb.connect() as connection:
        relation = connection.read_parquet(table.file_uris(), hive_partitioning=True)
        assert relation.aggregate("count(*), sum(score), count(DISTINCT date)").fetchall() == [
            (90, pytest.approx(before["score"].sum()), 3)
        ]
    # What readers skip files by.
    assert len(table.file_uris(file_pruning_predicate=[("batch_id", "in", ["9"])])) == 1
    assert table.count() == 90


def test_rows_keep_their_order_and_files_their_size(tmp_path: Path) -> None:
    location = made(tmp_path / "table")
    size = max(file.size for file in data_files(table_at(location)))
    done = compact_table(STORAGE, location, target_bytes=size + 1)
    assert done.replaced >= 6
    assert done.written >= 3
    for file in data_files(table_at(location)):
        numbers = pl.read_parquet(f"{location.uri}/{file.path}")["batch_id"]
        assert numbers.is_sorted()


def test_a_column_that_came_later(tmp_path: Path) -> None:
    location = made(tmp_path / "table", 4)
    append(location, 5, DAYS[0], extra=True)
    before = content(location)
    compact_table(STORAGE, location)
    assert content(location).equals(before)
    assert content(location)["extra"].sum() == 15


def test_the_loops_own_tables(embedded: Parcels, tmp_path: Path) -> None:
    copy = embedded.copy(tmp_path / "w")
    with ModelServer(copy.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        parcels = Parcels(copy.root, server.address)
        for day in (1, 2):
            parcels.day(day, 250)
            parcels.broken_records(f"{day:02d}.ndjson", "not JSON", "nor this")
            run(infer, parcels, end_of(day))
            run(join_feedback, parcels, known_after(day))
    before = tables_of(parcels)
    found = [
        compact_table(parcels.context.storage, table.location) for table in tables_by_name(parcels.context).values()
    ]
    assert sum(done.replaced for done in found) > 0
    for name, rows in tables_of(parcels).items():
        assert rows.schema == before[name].schema
        assert rows.equals(before[name]), name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_processes_that_compact_and_append_at_once(tmp_path: Path) -> None:
    location = made(tmp_path / "table")
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        compactions = [pool.apply_async(compact_again_and_again, (location.uri,)) for _ in range(2)]
        appends = pool.apply_async(append_more, (location.uri,))
        assert appends.get(60) == 15
        assert sum(each.get(60) for each in compactions) > 0
    assert (
        content(location)
        .select("prediction_id", "batch_id")
        .equals(
            pl.DataFrame({"batch_id": range(1, 25)}, schema={"batch_id": pl.Int64})
            .with_columns(index=pl.lit(list(range(10))))
            .explode("index")
            .select(pl.format("{}-{}", "batch_id", "index").alias("prediction_id"), "batch_id")
            .sort("batch_id", "prediction_id")
        )
    )


def between(patch: pytest.MonkeyPatch, happens: Callable[[], Any]) -> None:
    """Let something happen once, between the look at the table and the commit."""
    write_one, done = compact._write_one, list[bool]()

    def written(*arguments: Any) -> Any:
        file = write_one(*arguments)
        if not done:
            done.append(True)
            happens()
        return file

    patch.setattr(compact, "_write_one", written)


def test_two_that_saw_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment at which delta-rs lets both commit, and every row is there twice."""
    location = made(tmp_path / "table")
    before = content(location)
    between(monkeypatch, lambda: compact_table(STORAGE, location))
    assert compact_table(STORAGE, location).replaced == 0
    assert content(location).equals(before)
    assert files(location) == 3


def test_an_append_in_between_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = made(tmp_path / "table")
    between(monkeypatch, lambda: append(location, 10, DAYS[0]))
    compact_table(STORAGE, location)
    assert sorted(set(content(location)["batch_id"])) == list(range(1, 11))
    assert content(location).height == 100


def test_rows_removed_in_between_do_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = made(tmp_path / "table")
    between(monkeypatch, lambda: table_at(location).delete(f"date <= '{DAYS[2]}'"))
    compact_table(STORAGE, location)
    assert content(location).is_empty()


def test_a_new_column_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = made(tmp_path / "table")
    between(monkeypatch, lambda: append(location, 10, DAYS[0], extra=True))
    compact_table(STORAGE, location)
    assert content(location).height == 100
    assert content(location)["extra"].sum() == 15


@dataclass(frozen=True)
class Forgetful(StorageMap):
    """A store that does what it is told, and then is asked again by a client that did not get the answer."""

    def write_once(self, uri: str, data: bytes) -> bool:
        super().write_once(uri, data)
        return super().write_once(uri, data)


def test_a_commit_whose_answer_is_lost(tmp_path: Path) -> None:
    location = made(tmp_path / "table")
    before = content(location)
    assert compact_table(Forgetful(), location) == Compaction(before=9, replaced=9, written=3)
    assert content(location).equals(before)


def test_a_commit_far_behind_the_newest_version(tmp_path: Path) -> None:
    """A compaction that has slept while others wrote."""
    location = made(tmp_path / "table", 3)
    table = table_at(location)
    group = [file for file in data_files(table) if file.date == DAYS[1]]
    new = compact._write_one(table, location, group)
    for number in range(4, 30):
        append(location, number)
    assert Rewrite(STORAGE, location, table.version()).replace(group, by=new)
    assert content(location).height == 290
    again = compact._write_one(table, location, group)
    assert not Rewrite(STORAGE, location, table.version()).replace(group, by=again)
    assert content(location).height == 290


def test_batches_are_known_after_compaction_checkpoint_and_log_cleanup(tmp_path: Path) -> None:
    location = made(tmp_path / "table", 60)
    before = content(location)
    compact_table(STORAGE, location)
    age(tmp_path / "table" / "_delta_log", "*")
    shorten_log(location)
    log = [path.name for path in (tmp_path / "table" / "_delta_log").iterdir()]
    assert len(log) <= 4, log
    assert table_at(location).transaction_version(APP) == 60
    assert [append(location, number) for number in (1, 59, 60)] == [False] * 3
    assert content(location).equals(before)
    assert append(location, 61)
    assert content(location).height == before.height + 10
