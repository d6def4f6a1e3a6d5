"""Maintenance while the loop runs: files become fewer, old rows go, and nobody reads anything wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from audit import audit
from hosted import Hosted
from outcome import Outcome
from parcels import Document, Parcels, known_after
from plain import without_prefect
from state import State, state_of
from upkeep import beside, turn

from flywheel.maintenance.retention import first_dates
from flywheel.serving.server import ModelServer

Record = Callable[[Outcome], None]
BATCHES_A_DAY = 4


@dataclass(frozen=True)
class Attack:
    """How long the loop turns, whether old rows go meanwhile, and a retrain's export reads all there is."""

    stack: str
    days: int
    rows: int
    expires: bool = False

    @property
    def fault(self) -> str:
        return "maintain, two at a time, beside the loop" + (", old rows going" if self.expires else "")

    def edit(self, document: Document) -> None:
        document["spec"]["batch"] = {"max_rows": self.rows // BATCHES_A_DAY}
        document["spec"]["feedback"]["max_delay_hours"] = 12
        if self.expires:
            kept = {"predictions": "3d", "labels": "3d", "feedback": "2d", "profiles": "2d", "quarantine": "1d"}
            document["spec"]["retention"] = kept


@contextmanager
def served(parcels: Parcels) -> Iterator[Parcels]:
    """Give the pipeline a model server of its own."""
    with ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=0.2) as server:
        yield replace(parcels, address=server.address)


def run(parcels: Parcels, folder: Path, attack: Attack) -> Outcome:
    """Turn the loop twice, once with maintenance beside it, and compare all that is there."""
    before = parcels.copy(folder / "before")
    before.revise(attack.edit)
    for day in range(1, attack.days + 1):
        before.day(day, attack.rows)
        before.broken_records(f"{day:02d}.ndjson", "not JSON")
    retrain_after = 0 if attack.expires else attack.days // 2
    with served(before.copy(folder / "calm")) as calm, without_prefect(calm):
        turn(attack.days, retrain_after)
    expected, now = state_of(calm), known_after(attack.days)
    with served(before.copy(folder / "busy")) as busy, beside(busy, expected, now) as upkeep:
        turn(attack.days, retrain_after)
    assert upkeep.errors == []
    print(f"{attack.fault}, {attack.stack}: {upkeep.runs} runs, {upkeep.reads} reads, {dict(upkeep.did)}")
    found = state_of(busy)
    losses = audit(found, without_expired(expected, first_dates(busy.context, now)))
    assert found.metadata["model_versions"] == expected.metadata["model_versions"]
    assert found.metadata["batches"] == expected.metadata["batches"]
    assert data_of(found) == data_of(expected)
    assert upkeep.did["files_before"] > upkeep.did["files_after"]
    assert (upkeep.did["rows_expired"] > 0) == attack.expires
    print(losses)
    assert min(upkeep.runs, upkeep.reads) > 1
    assert losses.lost == losses.twice == 0
    return Outcome(
        fault=attack.fault,
        stack=attack.stack,
        injected=upkeep.runs,
        rows_in=attack.days * attack.rows,
        lost=losses.lost,
        twice=losses.twice,
        recovery_seconds=0.0,
    )


def without_expired(state: State, first: dict[str, date]) -> State:
    """What is left of the tables when retention has been applied."""
    tables = {
        name: rows.filter(pl.col("date") >= first[name]) if name in first else rows
        for name, rows in state.tables.items()
    }
    return replace(state, tables=tables)


def data_of(state: State) -> dict[str, str]:
    """The files, but for what names the version of a table: maintenance makes versions of its own."""
    return {path: digest for path, digest in state.files.items() if not path.endswith("_export.json")}


def test_maintenance_beside_the_loop(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(run(embedded, tmp_path, Attack("embedded", days=2, rows=200)))


@pytest.mark.slow
def test_old_rows_going_beside_the_loop(hosted: Hosted, tmp_path: Path, record: Record) -> None:
    record(run(hosted, tmp_path, Attack("servers", days=4, rows=40, expires=True)))


@pytest.mark.chaos
@pytest.mark.parametrize("expires", [False, True])
def test_hundreds_of_batches_embedded(
    embedded: Parcels, tmp_path: Path, record: Record, capsys: pytest.CaptureFixture[str], expires: bool
) -> None:
    with capsys.disabled():
        record(run(embedded, tmp_path, Attack("embedded", days=75, rows=200, expires=expires)))


@pytest.mark.chaos
@pytest.mark.parametrize("expires", [False, True])
def test_hundreds_of_batches_on_servers(
    hosted: Hosted, tmp_path: Path, record: Record, capsys: pytest.CaptureFixture[str], expires: bool
) -> None:
    with capsys.disabled():
        record(run(hosted, tmp_path, Attack("servers", days=50, rows=200, expires=expires)))
