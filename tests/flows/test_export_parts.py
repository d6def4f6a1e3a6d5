"""An export by dates is the export in one go, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from crashing import Killed, Writes, chosen, everywhere, watching
from parcels import Document, Edit, Parcels, end_of, known_after
from plain import run, trained
from state import assert_same, files_of, metadata_of, state_of

import flywheel.retraining.export_parts
from flows.export_training import export_training
from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.errors import ExportGateError
from flywheel.retraining.export_parts import find_parts, select_part
from flywheel.serving.server import ModelServer

DAYS, ROWS = 4, 60
WHEN = known_after(DAYS)


def sampled(**sampling: object) -> Edit:
    return lambda manifest: manifest["spec"]["training_export"].update(sampling=sampling)


def by_label(manifest: Document) -> None:
    """A file has rows of several dates."""
    manifest["spec"]["training_export"]["partition_by"] = ["label"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """Four labelled days."""
    made = trained(Parcels(tmp_path_factory.mktemp("export") / "w"))
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        for day in range(1, DAYS + 1):
            made.day(day, ROWS)
        run(infer, replace(made, address=server.address), end_of(DAYS))
    run(join_feedback, made, WHEN)
    return made


@pytest.fixture
def parcels(base: Parcels, tmp_path: Path) -> Parcels:
    return base.copy(tmp_path / "w")


@pytest.fixture
def two_days_a_part(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(flywheel.retraining.export_parts, "_MOST_ROWS", 2 * ROWS)
        yield


def in_one_go(parcels: Parcels) -> Parcels:
    whole = parcels.copy(parcels.root.with_name("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flywheel.retraining.export_parts, "_MOST_ROWS", 10**9)
        assert run(export_training, whole, WHEN).rows
    return whole


@pytest.mark.parametrize(
    "edit",
    [
        sampled(strategy="all"),
        sampled(strategy="stratified", negative_rate=0.3),
        sampled(strategy="hard_negative", negative_rate=0.2, hard_threshold=0.4),
        by_label,
    ],
)
def test_by_dates_is_in_one_go(parcels: Parcels, edit: Edit, two_days_a_part: None) -> None:
    parcels.revise(edit)
    whole = in_one_go(parcels)
    assert len(find_parts(parcels.context, "x", WHEN)) == 2
    found = run(export_training, parcels, WHEN)
    assert found.files > 1
    assert_same(state_of(parcels), state_of(whole))
    assert not list((parcels.root / ".flywheel" / "lake" / "parcels" / "export-parts").rglob("*.arrow"))
    assert run(export_training, parcels, WHEN) == found


def test_a_reservoir_is_not_taken_apart(parcels: Parcels, two_days_a_part: None) -> None:
    parcels.revise(sampled(strategy="reservoir", size=50))
    assert find_parts(parcels.context, "x", WHEN) == []
    assert run(export_training, parcels, WHEN).rows == 50


@everywhere
def test_killed_anywhere(parcels: Parcels, tmp_path: Path, two_days_a_part: None, every: bool) -> None:
    expected = state_of(in_one_go(parcels))
    with watching(Writes()) as writes:
        run(export_training, parcels.copy(tmp_path / "counted"), WHEN)
    for number in chosen(writes.seen, every):
        copy = parcels.copy(tmp_path / f"{number}")
        with watching(Writes(number, torn=writes.seen[number - 1].startswith("put"))), pytest.raises(Killed):
            run(export_training, copy, WHEN)
        run(export_training, copy, WHEN)
        assert_same(state_of(copy), expected)


def test_another_run_publishes_it_first(parcels: Parcels, two_days_a_part: None) -> None:
    """It selects the same rows, publishes them and removes the parts while this one has yet to publish."""
    context = parcels.context
    parts = find_parts(context, f"parcels.{WHEN:%Y%m%dT%H%M%SZ}", WHEN)
    assert sum(select_part(context, part) for part in parts) > 0
    first = run(export_training, parcels, WHEN)
    published = flywheel.retraining.export_parts.publish_parts(context, parts)
    assert published is not None
    assert published.rows == first.rows
    assert len(metadata_of(parcels)["exports"]) == 1


def test_the_gate_looks_at_all_parts(parcels: Parcels, two_days_a_part: None) -> None:
    parcels.revise(lambda manifest: manifest["spec"]["training_export"].update(min_rows=10_000))
    with pytest.raises(ExportGateError, match="at least 10000"):
        run(export_training, parcels, WHEN)
    assert not any(name.startswith("exports/") for name in files_of(parcels))
