"""How a retrain ends: promoted, rejected, in review, without enough data; and what people decide on reviews."""

from __future__ import annotations

import pytest
from parcels import MODEL, NAME, START, Document, Parcels, end_of, feedback_on, known_after, made_parcels
from plain import run
from state import metadata_of

from flows.export_training import export_training
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.promote import promote
from flows.retrain import retrain
from flywheel.cli import reviews
from flywheel.errors import FlywheelError, NotFoundError
from flywheel.export.read import read_export


@pytest.fixture
def labelled(parcels: Parcels) -> Parcels:
    """A pipeline with a day of labelled predictions, farther away than what the champion has learned from."""
    parcels.day(1, 400, shift=100)
    run(infer, parcels, end_of(1))
    run(join_feedback, parcels, known_after(1))
    return parcels


def wants_review(manifest: Document) -> None:
    manifest["spec"]["training"]["promotion"] = "review"


def test_a_worse_candidate_is_rejected(parcels: Parcels) -> None:
    """Its training rows are mislabelled, the newer rows that it is judged on are not."""
    mislabelled = made_parcels(1, START, 1500)
    parcels.records("01.ndjson", mislabelled)
    parcels.events("01.ndjson", feedback_on(mislabelled.with_columns(minutes_late=-mislabelled["minutes_late"])))
    parcels.day(2, 200)
    run(infer, parcels, end_of(2))
    run(join_feedback, parcels, known_after(2))
    done = retrain(NAME, as_of=known_after(2))
    assert (done.outcome, done.candidate) == ("rejected", 2)
    assert "worse by" in done.reason
    assert [(model.version, model.status) for model in parcels.versions()] == [(1, "champion"), (2, "rejected")]
    parcels.day(3, 20)
    run(infer, parcels, end_of(3))
    assert set(parcels.table("predictions")["model_version"]) == {1}


def test_too_few_rows(labelled: Parcels) -> None:
    labelled.revise(lambda manifest: manifest["spec"]["training"].update(min_rows=100_000))
    done = retrain(NAME, as_of=known_after(1))
    assert (done.outcome, done.candidate) == ("not_enough_data", None)
    assert "training.min_rows is 100000" in done.reason
    assert labelled.champion() == 1
    # The logical time has its answer; a later one is another question.
    labelled.revise()
    assert retrain(NAME, as_of=known_after(1)).outcome == "not_enough_data"
    assert retrain(NAME, as_of=known_after(1.5)).outcome == "promoted"


def test_a_review_that_is_approved(labelled: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled.revise(wants_review)
    done = retrain(NAME, as_of=known_after(1))
    assert (done.outcome, done.candidate) == ("in_review", 2)
    assert promote(NAME).changed == []
    assert labelled.champion() == 1

    monkeypatch.chdir(labelled.root)
    reviews.approve(MODEL, 2, "looks right")
    assert labelled.champion() == 1, "a decision is acted on by the next promote run"
    assert promote(NAME, as_of=end_of(3)).changed == ["2: champion"]
    assert labelled.champion() == 2
    assert promote(NAME).changed == []
    last = metadata_of(labelled)["model_events"][-1]
    assert (last["event"], last["reason"], last["as_of"]) == ("promoted", "approved in review: looks right", end_of(3))
    with pytest.raises(FlywheelError, match="was approved already"):
        reviews.decline(MODEL, 2, "changed my mind")


def test_a_review_that_is_declined(labelled: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled.revise(wants_review)
    retrain(NAME, as_of=known_after(1))
    monkeypatch.chdir(labelled.root)
    reviews.decline(MODEL, 2, "too few rows from the south")
    assert promote(NAME).changed == ["2: rejected"]
    assert labelled.champion() == 1
    assert promote(NAME).changed == []


def test_a_check_that_is_not_there(parcels: Parcels) -> None:
    with pytest.raises(NotFoundError, match=r"no drift check 'parcels\.nothing'") as refused:
        retrain(NAME, check_id="parcels.nothing")
    assert refused.value.next_step == "flywheel drift history -p parcels"
    assert [row["key"] for row in metadata_of(parcels)["retrainings"]] == ["parcels.20240301T000000Z"]


def test_an_export_holds_what_was_known_at_its_time(parcels: Parcels) -> None:
    nothing = export_training(NAME, as_of=end_of(1))
    assert nothing.rows == 0
    made = parcels.day(1, 400)
    run(infer, parcels, end_of(0.5))
    run(infer, parcels, end_of(1))
    run(join_feedback, parcels, known_after(1))
    half = export_training(NAME, as_of=known_after(0.5))
    rows = read_export(parcels.context.storage, f"exports/{half.export_id}")
    assert rows["event_time"].max() <= end_of(0.5)
    late = made.head(200).filter(made.head(200)["minutes_late"] > 0).height
    assert (rows["label"] == "late").sum() == late
    assert 0 < half.rows < 200
    assert half.represents == rows["weight"].sum()
    assert export_training(NAME, as_of=known_after(0.5)) == half
    assert export_training(NAME, as_of=known_after(1)).rows > half.rows
