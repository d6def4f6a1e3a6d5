"""The same loop on two stacks: embedded (SQLite, a folder, files), and as in production, by its schedules alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hosted import Hosted
from parcels import Parcels, end_of, feedback_on, made_parcels
from plain import run
from production import Files, Orchestra, production, stamped, wait_for
from state import tables_of

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.serving.server import ModelServer

pytestmark = pytest.mark.slow
DAYS, ROWS = (1, 2), 200
# Told by the clock of the run; and where the records came from.
INCIDENTAL = ("predicted_at", "part", "row")
SOON = timedelta(seconds=4)


@pytest.fixture(scope="module")
def orchestra(hosted: Hosted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestra]:
    with production(hosted, tmp_path_factory.mktemp("production")) as running:
        yield running


def day(place: Parcels, number: int, known_at: datetime) -> pl.DataFrame:
    """Give ``place`` a day of records, all known at the same moment."""
    parcels = made_parcels(number, end_of(number - 1), ROWS)
    place.records(f"{number}.ndjson", stamped(parcels, known_at))
    return parcels


def comparable(place: Parcels) -> dict[str, pl.DataFrame]:
    return {name: rows.drop(INCIDENTAL, strict=False) for name, rows in tables_of(place).items()}


def test_equal_tables(orchestra: Orchestra, embedded: Parcels, tmp_path: Path) -> None:
    files = Files(embedded.copy(tmp_path / "files").root, embedded.address)
    with ModelServer(files.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        files = Files(files.root, server.address)
        for number in DAYS:
            made = day(orchestra.parcels, number, datetime.now(UTC) + SOON)
            day(files, number, end_of(number))
            run(infer, files, end_of(number))
            wait_for(
                f"predictions of day {number}",
                lambda: orchestra.parcels.table("predictions").height == number * ROWS,  # noqa: B023
            )
            events, known_at = feedback_on(made), datetime.now(UTC) + SOON
            orchestra.parcels.events(f"{number}.ndjson", stamped(events, known_at))
            files.events(f"{number}.ndjson", stamped(events, known_at))
            run(join_feedback, files, known_at)
            wait_for(
                f"labels of day {number}",
                lambda: orchestra.parcels.table("labels").height == number * ROWS,  # noqa: B023
            )
    found, expected = comparable(orchestra.parcels), comparable(files)
    assert {name: rows.height for name, rows in found.items()} == {name: rows.height for name, rows in expected.items()}
    for name, rows in expected.items():
        assert found[name].equals(rows), name
    by_themselves = [run for flow in ("infer", "join-feedback") for run in orchestra.runs(flow)]
    assert len(by_themselves) >= 2 * len(DAYS)
    assert all(run["auto_scheduled"] for run in by_themselves)


@pytest.mark.parametrize("auth", [None, "flywheel:guessed"])
def test_the_prefect_server_refuses_strangers(orchestra: Orchestra, auth: str | None) -> None:
    assert orchestra.status_without(auth) == 401
