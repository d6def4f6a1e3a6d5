"""A numbered batch reaches a Delta table exactly once, whoever tries and however often."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import polars as pl
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from flywheel.lake.delta import append_once, open_table
from flywheel.lake.storage import Location


def rows(number: int, count: int = 10) -> pl.DataFrame:
    ids = [f"{number}-{index}" for index in range(count)]
    return pl.DataFrame({"id": ids, "batch_id": [number] * count, "date": ["2013-02-01"] * count})


def append(path: str, number: int, app: str = "p/records") -> bool:
    return append_once(Location(path), rows(number).to_arrow(), app, number, partition_by=["date"])


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
    assert append(table, 2) is False
    assert len(content(tmp_path / "table")) == 20


@pytest.mark.parametrize("columns", [["id"], ["id", "batch_id", "date", "new_feature"]])
def test_a_table_grows_new_columns_but_keeps_its_own(tmp_path: Path, columns: list[str]) -> None:
    table = tmp_path / "table"
    append(str(table), 1)
    wider = (
        rows(2).with_columns(new_feature=pl.lit(1.5)).select([*columns, *(["date"] if "date" not in columns else [])])
    )
    append_once(Location(str(table)), wider.to_arrow(), "p/records", 2, partition_by=["date"])
    assert pl.read_delta(str(table)).height == 20
