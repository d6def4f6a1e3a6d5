"""A whole run of ``maintain``: what goes, what stays, and what killed runs have left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from parcels import MODEL, Document, Parcels, drift_of, end_of, known_after
from plain import run
from small_table import age
from sqlalchemy import select
from state import TABLES, tables_of

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.maintain import maintain
from flows.retrain import retrain
from flywheel.maintenance.retention import first_dates
from flywheel.metadata.schema import Expiration, Retraining
from flywheel.serving.server import ModelServer

DAYS = 10


def keeping(**kept: str) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        document["spec"]["retention"] = kept
        document["spec"]["feedback"]["max_delay_hours"] = 12
        document["spec"]["batch"] = {"max_rows": 21}

    return edit


@pytest.fixture(scope="module")
def ten_days(embedded: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """Ten days of the loop, three batches a day, and a server for what comes after."""
    copy = embedded.copy(tmp_path_factory.mktemp("ten") / "w")
    copy.revise(keeping())
    with ModelServer(copy.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        parcels = replace(copy, address=server.address)
        for day in range(1, DAYS + 1):
            parcels.day(day, 60)
            parcels.broken_records(f"{day:02d}.ndjson", "not JSON")
            run(infer, parcels, end_of(day))
            run(join_feedback, parcels, known_after(day))
        yield parcels


def expirations(parcels: Parcels) -> set[tuple[str, date, int]]:
    with parcels.workspace.database().session() as session:
        return {(row.table_name, row.before, row.rows) for row in session.scalars(select(Expiration))}


@pytest.fixture
def parcels(ten_days: Parcels, tmp_path: Path) -> Parcels:
    return ten_days.copy(tmp_path / "w", ten_days.address)


def test_rows_older_than_they_are_kept_go(parcels: Parcels) -> None:
    parcels.revise(keeping(predictions="4d", labels="5d", feedback="3d", profiles="2d", quarantine="1d"))
    before = tables_of(parcels)
    now = known_after(DAYS)
    found = run(maintain, parcels, now)
    first = {name: (now - timedelta(days=days)).date() for name, days in
             {"predictions": 4, "labels": 5, "feedback": 3, "profiles": 2, "quarantine": 1}.items()}  # fmt: skip
    after = tables_of(parcels)
    for name in TABLES:
        assert after[name].equals(before[name].filter(pl.col("date") >= first.get(name, date.min))), name
    gone = {name: before[name].height - after[name].height for name in TABLES}
    assert found.rows_expired == sum(gone.values())
    assert found.files_after <= found.files_before
    assert expirations(parcels) == {(name, day, gone[name]) for name, day in first.items() if gone[name]}
    assert run(maintain, parcels, now).rows_expired == 0


def test_nothing_goes_that_nobody_asked_for(parcels: Parcels) -> None:
    before = tables_of(parcels)
    assert run(maintain, parcels, known_after(1000)).rows_expired == 0
    assert all(tables_of(parcels)[name].equals(before[name]) for name in before)


def test_a_pipeline_that_stands_still_loses_nothing_more(parcels: Parcels) -> None:
    parcels.revise(keeping(predictions="20d", labels="20d", feedback="20d", profiles="20d", quarantine="20d"))
    assert run(maintain, parcels, known_after(1000)).rows_expired == 0
    assert first_dates(parcels.context, known_after(1000))["predictions"] == (known_after(DAYS) - timedelta(20)).date()


def test_what_feedback_has_not_come_to_yet_stays(parcels: Parcels) -> None:
    """The loop's records are ten days ahead of its feedback."""
    parcels.revise(keeping(predictions="4d", labels="4d", feedback="4d"))
    parcels.day(DAYS + 30, 60)
    run(infer, parcels, end_of(DAYS + 30))
    assert first_dates(parcels.context, end_of(DAYS + 30))["predictions"] == (known_after(DAYS) - timedelta(4)).date()


def test_a_drift_window_in_use_stays(parcels: Parcels) -> None:
    def by_rows(document: Document) -> None:
        keeping(profiles="1d")(document)
        drift_of(document).pop("window")
        drift_of(document)["window_size"] = 290  # of 60 rows a day: five days

    parcels.revise(by_rows)
    assert first_dates(parcels.context, known_after(DAYS))["profiles"] == end_of(DAYS - 5).date()
    run(maintain, parcels, known_after(DAYS))
    assert parcels.table("profiles")["batch_id"].unique().sort().to_list() == list(range(16, 31))


def test_what_a_retrain_under_way_reads_stays(parcels: Parcels) -> None:
    parcels.revise(keeping(predictions="4d", labels="4d", quarantine="4d"))
    row = Retraining(
        pipeline="parcels", key="k", as_of=known_after(DAYS), status="running", started_at=datetime.now(UTC)
    )
    with parcels.workspace.database().session() as session:
        session.add(row)
    assert set(first_dates(parcels.context, known_after(DAYS))) == {"quarantine"}
    with parcels.workspace.database().session() as session:
        session.get_one(Retraining, ("parcels", "k")).started_at = datetime.now(UTC) - timedelta(days=8)
    assert set(first_dates(parcels.context, known_after(DAYS))) == {"quarantine", "predictions", "labels"}


def test_the_loop_goes_on_as_it_would_have(parcels: Parcels, tmp_path: Path) -> None:
    """A batch after maintenance, its feedback and a retrain: the same rows as without."""
    calm = parcels.copy(tmp_path / "calm", parcels.address)
    for each in (parcels, calm):
        each.day(DAYS + 1, 60)
        again = (each.root / "data" / "parcels" / f"{DAYS:02d}.ndjson").read_text().splitlines()[:50]
        each.broken_records("again.ndjson", *again)
    parcels.revise(keeping(predictions="4d", labels="4d", feedback="4d", profiles="4d", quarantine="4d"))
    calm.revise(keeping())
    run(maintain, parcels, known_after(DAYS))
    for each in (parcels, calm):
        run(infer, each, end_of(DAYS + 1))
        run(join_feedback, each, known_after(DAYS + 1))
    first = (known_after(DAYS) - timedelta(days=4)).date()
    found, expected = tables_of(parcels), tables_of(calm)
    for name in TABLES:
        assert found[name].equals(expected[name].filter(pl.col("date") >= first)), name
    assert run(retrain, parcels, known_after(DAYS + 1)).outcome in ("promoted", "rejected")


def left_behind(path: Path, text: str = "left") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_leftovers_of_killed_runs_go_when_they_are_old(parcels: Parcels) -> None:
    lake = parcels.root / ".flywheel" / "lake"
    run(retrain, parcels, known_after(DAYS))
    for baseline in [*(lake / "baselines").rglob("*.json")]:
        left_behind(baseline.with_suffix(".parquet"), "the sample beside it")
    kept = [path for path in [*lake.rglob("*"), *(parcels.root / "exports").rglob("*")] if path.is_file()]
    assert any(path.name == "_export.json" for path in kept)
    mine = left_behind(parcels.root / "exports" / "somebody-elses" / "part-0.parquet")
    left = [
        left_behind(lake / "models" / MODEL / f"{'0' * 64}.skops"),
        left_behind(lake / "models" / MODEL / f"{'1' * 64}.skops#1"),
        left_behind(lake / "baselines" / MODEL / f"{MODEL}-0123456789.json"),
        left_behind(lake / "baselines" / MODEL / f"{MODEL}-0123456789.parquet"),
        left_behind(lake / "parcels" / "staging" / "0000000999.arrow"),
        left_behind(lake / "parcels" / "staging" / "0000000003.arrow#2"),
        left_behind(lake / "parcels" / "drafts" / "0000000003-0123456789abcdef.arrow"),
        left_behind(lake / "parcels" / "export-parts" / "parcels.20240301T000000Z" / "1-1-1" / "2024-03-01.arrow"),
        left_behind(parcels.root / "exports" / "parcels.20240301T000000Z" / "date=2024-03-01" / "part-0.parquet"),
    ]
    assert run(maintain, parcels, known_after(DAYS)).leftovers_deleted == 0
    age(parcels.root, "*", days=8)
    done = run(maintain, parcels, known_after(DAYS))
    assert done.leftovers_deleted == len(left)
    assert done.bytes_freed >= 4 * len(left)
    assert not any(path.exists() for path in left)
    assert mine.exists()
    data = [path for path in kept if "_delta_log" not in path.parts and "date=" not in str(path)]
    assert all(path.exists() for path in data)
    run(maintain, parcels, known_after(DAYS))
    assert parcels.context.registry.load(MODEL, 1).model is not None
