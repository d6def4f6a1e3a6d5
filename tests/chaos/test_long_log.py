"""A Delta log of ten thousand commits: the loop is right on it, and opens it quickly."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from audit import audit
from outcome import Outcome
from parcels import Parcels, end_of, known_after
from plain import run
from state import state_of

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.maintain import maintain
from flywheel.lake.delta import open_table
from flywheel.lake.tables import LakeTable
from flywheel.serving.server import ModelServer

Record = Callable[[Outcome], None]
# What one opening may cost, on a busy machine, with the log as the loop itself leaves it.
SECONDS_TO_OPEN = 1.0


def lengthen(table: LakeTable, commits: int, app: str) -> None:
    """Append so many commits to a table's log, each a file of one row and a batch of ``app``'s, as the loop would.

    They are written as the protocol has them, since writing them one by one takes ten minutes. The rows are real.
    """
    opened = open_table(table.location)
    assert opened is not None
    version = opened.version()
    folder = Path(table.location.uri)
    row = table.read(opened.file_uris()).head(1)
    for number in range(1, commits + 1):
        day = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number % 60)).date().isoformat()
        name = f"date={day}/part-00000-{number}-c000.zstd.parquet"
        (folder / f"date={day}").mkdir(exist_ok=True)
        changed = row.with_columns(prediction_id=pl.lit(f"old-{number}"), batch_id=pl.lit(-number, pl.Int64))
        changed.drop("date").write_parquet(folder / name)
        size = (folder / name).stat().st_size
        stats = json.dumps({"numRecords": 1, "minValues": {"batch_id": -number}, "maxValues": {"batch_id": -number},
                            "nullCount": {"batch_id": 0}})  # fmt: skip
        add = {"path": name, "partitionValues": {"date": day}, "size": size, "modificationTime": 1_600_000_000_000,
               "dataChange": True, "stats": stats}  # fmt: skip
        lines = [{"commitInfo": {"operation": "WRITE"}}, {"add": add}, {"txn": {"appId": app, "version": number}}]
        text = "\n".join(json.dumps(line) for line in lines)
        (folder / "_delta_log" / f"{version + number:020}.json").write_text(text)


def seconds_to_open(table: LakeTable) -> float:
    begun = time.perf_counter()
    assert table.files()
    return time.perf_counter() - begun


def attack(embedded: Parcels, folder: Path, commits: int, record: Record) -> None:
    with ExitStack() as stack:
        long, calm = (_after_a_day(embedded.copy(folder / name), stack) for name in ("long", "calm"))
        app, table = "parcels/earlier", long.context.tables.predictions
        lengthen(table, commits, app)
        opened = open_table(table.location)
        assert opened is not None
        assert opened.transaction_version(app) == commits
        replayed = seconds_to_open(table)
        for each in (long, calm):
            _another_day(each, 2)
        before = seconds_to_open(table)
        begun = time.perf_counter()
        done = run(maintain, long, known_after(2))
        took = time.perf_counter() - begun
        after = seconds_to_open(table)
        print(
            f"{commits:,} commits: opened in {replayed:.2f} s without a checkpoint, {before:.2f} s a day later, "
            f"{after:.2f} s after maintain ({done.files_before:,} files → {done.files_after:,} in {took:.1f} s)"
        )
        for each in (long, calm):
            _another_day(each, 3)
        opened = open_table(table.location)
        assert opened is not None
        assert opened.transaction_version(app) == commits
        assert table.read(table.files()).filter(pl.col("batch_id") < 0).height == commits
        found, expected = state_of(long), state_of(calm)
    rows = found.tables["predictions"]
    assert rows.filter(pl.col("batch_id") < 0)["prediction_id"].n_unique() == commits
    found.tables["predictions"] = rows.filter(pl.col("batch_id") > 0)
    losses = audit(found, expected)
    assert found.metadata["drift_checks"] == expected.metadata["drift_checks"]
    record(
        Outcome(
            fault=f"a Delta log of {commits:,} commits",
            stack="embedded",
            injected=commits,
            rows_in=commits + losses.rows,
            lost=losses.lost,
            twice=losses.twice,
            recovery_seconds=took,
        )
    )
    assert losses.lost == losses.twice == 0
    assert done.files_after < done.files_before / 2
    assert after < SECONDS_TO_OPEN


def _after_a_day(parcels: Parcels, stack: ExitStack) -> Parcels:
    server = stack.enter_context(ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=60))
    served = replace(parcels, address=server.address)
    _another_day(served, 1)
    return served


def _another_day(parcels: Parcels, day: int) -> None:
    parcels.day(day, 150)
    run(infer, parcels, end_of(day))
    run(join_feedback, parcels, known_after(day))
    run(check_drift, parcels, known_after(day))


def test_a_log_of_many_commits(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    attack(embedded, tmp_path, 400, record)


@pytest.mark.chaos
def test_a_log_of_ten_thousand_commits(
    embedded: Parcels, tmp_path: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        attack(embedded, tmp_path, 10_000, record)
