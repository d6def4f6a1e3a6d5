"""A numbered batch reaches a Delta table exactly once, whoever tries and however often."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from flywheel.lake.delta import append_once, open_table
from flywheel.lake.storage import Location


def rows(number: int, count: int = 10) -> pl.DataFrame:
    ids = [f"{number}-{index}" for index in range(count)]
    return pl.DataFrame({"id": ids, "batch_id": [number] * count, "date": ["2013-02-01"] * count})


def append(path: str, number: int, app: str = "p/records") -> bool:
    return append_once(Location(path), rows(number), app, number, partition_by=["date"])


def content(path: Path) -> list[str]:
    return sorted(pl.read_delta(str(path))["id"].to_list())


def test_a_batch_written_again_is_there_once(tmp_path: Path) -> None:
    table = tmp_path / "table"
    assert append(str(table), 1) is True
    assert append(str(table), 1) is False
    assert append(str(table), 2) is True
    assert append(str(table), 1) is False
    assert content(table) == sorted(rows(1)["id"].to_list() + rows(2)["id"].to_list())


def test_two_applications_do_not_hide_each_other(tmp_path: Path) -> None:
    table = str(tmp_path / "table")
    assert append(table, 5, "p/records")
    assert append(table, 1, "p/feedback")
    assert len(content(tmp_path / "table")) == 20


def _race(path: str, numbers: list[int]) -> int:
    return sum(append(path, number) for number in numbers)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_processes_racing_for_the_same_batches_write_each_once(tmp_path: Path) -> None:
    table, numbers = tmp_path / "table", list(range(1, 21))
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        written = pool.starmap(_race, [(str(table), numbers)] * 3)
    assert sum(written) == len(numbers)
    assert content(table) == sorted(identity for number in numbers for identity in rows(number)["id"])


def test_a_writer_that_looked_before_another_committed_does_not_write_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: the table is read, found without the batch, and another writer commits it just then."""
    table = str(tmp_path / "table")
    append(table, 1)
    opened: list[bool] = []

    def open_then_lose_the_race(location: Location, version: int | None = None) -> object:
        handle = open_table(location, version)
        if not opened:
            opened.append(True)
            write_deltalake(
                table,
                rows(2).to_arrow(),
                mode="append",
                commit_properties=CommitProperties(app_transactions=[Transaction("p/records", 2)]),
            )
        return handle

    monkeypatch.setattr("flywheel.lake.delta.open_table", open_then_lose_the_race)
    monkeypatch.setattr("flywheel.lake.delta._tips", {})
    assert append(table, 2) is False
    assert len(content(tmp_path / "table")) == 20


@pytest.mark.parametrize("columns", [["id"], ["id", "batch_id", "date", "new_feature"]])
def test_a_table_grows_new_columns_but_keeps_its_own(tmp_path: Path, columns: list[str]) -> None:
    table = tmp_path / "table"
    append(str(table), 1)
    wider = (
        rows(2).with_columns(new_feature=pl.lit(1.5)).select([*columns, *(["date"] if "date" not in columns else [])])
    )
    append_once(Location(str(table)), wider, "p/records", 2, partition_by=["date"])
    assert pl.read_delta(str(table)).height == 20


def append_by_delta_rs(table: str, number: int, app: str = "p/records") -> None:
    done = CommitProperties(app_transactions=[Transaction(app, number)])
    write_deltalake(table, rows(number).to_arrow(), mode="append", commit_properties=done)


@pytest.mark.parametrize(("app", "expected"), [("p/records", False), ("p/feedback", True)])
def test_what_this_process_remembers_does_not_hide_another_writer(tmp_path: Path, app: str, expected: bool) -> None:
    table = str(tmp_path / "table")
    append(table, 1)
    append_by_delta_rs(table, 2, app)
    assert append(table, 2) is expected
    assert append(table, 3) is True
    assert len(content(tmp_path / "table")) == 10 * DeltaTable(table).version()


def test_another_table_in_its_place_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    table = tmp_path / "table"
    for number in (1, 2):
        append(str(table), number)
    shutil.rmtree(table)
    write_deltalake(str(table), rows(7).to_arrow(), partition_by=["date"])
    for number in (1, 2):
        append_by_delta_rs(str(table), number, "another")
    assert append(str(table), 3) is True
    assert DeltaTable(str(table)).transaction_version("p/records") == 3
    assert len(content(table)) == 40


def test_our_commits_and_those_of_delta_rs_are_read_alike(tmp_path: Path) -> None:
    moment = datetime(1969, 12, 31, 23, 59, 59, 123456, tzinfo=UTC)
    whole = pl.DataFrame(
        {
            "id": ["a", None, "ü"],
            "n": pl.Series([-(2**63), None, 2**63 - 1], dtype=pl.Int64),
            "bin": pl.Series([1, 2, None], dtype=pl.Int32),
            "x": [float("nan"), None, float("inf")],
            "yes": [True, None, False],
            "at": pl.Series([moment, None, moment + timedelta(days=40_000)], dtype=pl.Datetime("us", "UTC")),
            "prediction": [{"label": "late", "score": 0.5}, None, {"label": None, "score": None}],
            "date": [date(1969, 12, 31), date(2079, 7, 7), None],
        }
    )
    for number in (1, 2, 3):
        append_once(Location(str(tmp_path / "ours")), whole, "p", number, partition_by=["date"])
        write_deltalake(str(tmp_path / "theirs"), whole.to_arrow(), mode="append", partition_by=["date"])
    ours, theirs = (pl.read_delta(str(tmp_path / name)).sort("date", "id") for name in ("ours", "theirs"))
    assert ours.equals(theirs)
    assert ours.schema == theirs.schema
    tables = [DeltaTable(str(tmp_path / name)) for name in ("ours", "theirs")]
    told = [pl.DataFrame(table.get_add_actions(flatten=True)).sort("partition.date", "path") for table in tables]
    same = ["num_records", "min.n", "max.n", "min.at", "max.at", "null_count.n", "null_count.at", "partition.date"]
    assert told[0].select(same).equals(told[1].select(same))
    for found, table in zip((ours, theirs), tables, strict=True):
        assert found.height == duckdb.sql(f"FROM read_parquet({table.file_uris()!r})").to_arrow_table().num_rows


def test_a_table_that_asks_more_of_a_writer_gets_it(tmp_path: Path) -> None:
    table = str(tmp_path / "table")
    append(table, 1)
    DeltaTable(table).alter.add_constraint({"small": "batch_id < 3"})
    assert append(table, 2)
    with pytest.raises(DeltaError, match="10 rows failed validation"):
        append(table, 3)
    assert len(content(tmp_path / "table")) == 20


def test_readers_are_spared_most_of_a_long_log(tmp_path: Path) -> None:
    table = tmp_path / "table"
    for number in range(1, 61):
        append(str(table), number)
    checkpoint = json.loads((table / "_delta_log" / "_last_checkpoint").read_text())["version"]
    assert DeltaTable(str(table)).version() - checkpoint < 50
    assert len(content(table)) == 600
