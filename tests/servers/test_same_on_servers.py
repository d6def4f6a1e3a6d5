"""The whole loop on PostgreSQL and S3 leaves what it leaves on SQLite and in a folder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from parcels import Document, Parcels, drift_of, end_of, known_after
from plain import run
from queries import answers
from state import assert_same, state_of

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.serving.server import ModelServer
from tasks.retrain import export_training


def ask_of_samples_and_slices(manifest: Document) -> None:
    """What reads rows of the reference and of the window again, and counts in slices."""
    drift_of(manifest).update(multivariate="domain_classifier", slices=["region"])


def turn(parcels: Parcels) -> None:
    """A calm day, a day on which all parcels go farther, the retrain that this asks for, and a day of its champion."""
    for day, shift in ((1, 0.0), (2, 100.0), (3, 100.0)):
        parcels.day(day, 300, shift=shift)
        run(infer, parcels, end_of(day))
        run(join_feedback, parcels, known_after(day))
        check = run(check_drift, parcels, known_after(day))
        if day == 2:
            assert check.action == "retrain"
            assert run(retrain, parcels, known_after(day), check_id=check.check_id).outcome == "promoted"
    assert export_training.fn(parcels.context, "by-hand", known_after(3)).rows > 0


@pytest.fixture(scope="module")
def both(embedded: Parcels, hosted: Parcels, tmp_path_factory: pytest.TempPathFactory) -> tuple[Parcels, Parcels]:
    """Both stacks after the loop has turned."""
    folder = tmp_path_factory.mktemp("both")
    found = []
    for name, parcels in (("embedded", embedded), ("hosted", hosted)):
        copy = parcels.copy(folder / name)
        with ModelServer(copy.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
            found.append(replace(copy, address=server.address))
            found[-1].revise(ask_of_samples_and_slices)
            turn(found[-1])
    return found[0], found[1]


def test_equal_tables(both: tuple[Parcels, Parcels]) -> None:
    embedded, hosted = both
    found = state_of(hosted)
    assert found.tables["predictions"].height == 900
    assert {model["status"] for model in found.metadata["model_versions"]} == {"archived", "champion"}
    assert [len(check["joint"] or []) for check in found.metadata["drift_checks"]] == [1, 1, 1]
    assert found.metadata["drift_checks"][-1]["joint"][0]["value"] is not None
    assert_same(found, state_of(embedded))


def test_equal_answers(both: tuple[Parcels, Parcels]) -> None:
    embedded, hosted = both
    expected = answers(embedded)
    found = answers(hosted)
    assert dict(expected["predictions"])["by_model_version"] == {"1": ("int", 600), "2": ("int", 300)}
    for question, answer in found.items():
        assert answer == expected[question], question
