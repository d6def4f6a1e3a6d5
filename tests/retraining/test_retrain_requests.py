"""A retrain is claimed once for each key, and can be taken over from whoever claimed it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from parcels import MODEL, NAME, START, Parcels, end_of, known_after

from flywheel.errors import NotFoundError
from flywheel.export.manifest import ExportManifest
from flywheel.metadata.schema import DriftCheck, Review
from flywheel.retraining.export import export_training
from flywheel.retraining.fit import fit_candidate
from flywheel.retraining.promotion import act_on_reviews, conclude
from flywheel.retraining.request import RetrainRequest, claim, finish
from flywheel.training.holdout import NotEnoughData
from flywheel.training.train import Candidate


def add_check(parcels: Parcels, check_id: str, as_of: datetime, pipeline: str = NAME) -> None:
    row = DriftCheck(
        id=check_id,
        pipeline=pipeline,
        as_of=as_of,
        baseline_id="b",
        first_batch=1,
        last_batch=1,
        rows=1,
        outcome="drift",
        severity="high",
        action="retrain",
        reason="",
        measures=[],
        checked_at=datetime.now(UTC),
    )
    with parcels.context.database.session() as session:
        session.add(row)


def trained(parcels: Parcels, request: RetrainRequest) -> tuple[Candidate | NotEnoughData, ExportManifest | None]:
    export = export_training(parcels.context, request.key, request.as_of)
    return fit_candidate(parcels.context, request, export), export


def other_champion(parcels: Parcels) -> None:
    registry = parcels.context.registry
    registered = registry.get(MODEL, 1)
    made = registry.register(MODEL, NAME, "by hand", b"never loaded", registered.card, {}, START)
    registry.promote(MODEL, made.version, 1, "by hand", START)


def statuses(parcels: Parcels) -> dict[int, str]:
    return {model.version: model.status for model in parcels.versions()}


def test_the_key_of_a_time(parcels: Parcels) -> None:
    request = claim(parcels.context, known_after(1), None)
    assert (request.key, request.as_of, request.champion) == ("parcels.20240302T020000Z", known_after(1), 1)
    assert claim(parcels.context, known_after(1), None) == request
    assert claim(parcels.context, known_after(2), None).key != request.key


def test_a_check_is_answered_at_its_own_time(parcels: Parcels) -> None:
    add_check(parcels, "parcels.b.1-1", end_of(1))
    request = claim(parcels.context, end_of(30), "parcels.b.1-1")
    assert (request.key, request.as_of) == ("parcels.b.1-1", end_of(1))
    assert claim(parcels.context, end_of(31), "parcels.b.1-1") == request


def test_a_check_of_another_pipeline(parcels: Parcels) -> None:
    add_check(parcels, "letters.b.1-1", end_of(1), pipeline="letters")
    with pytest.raises(NotFoundError, match=r"letters\.b\.1-1"):
        claim(parcels.context, end_of(1), "letters.b.1-1")


def test_the_champion_to_beat_is_pinned_by_the_first_claim(parcels: Parcels) -> None:
    request = claim(parcels.context, end_of(1), None)
    other_champion(parcels)
    assert claim(parcels.context, end_of(1), None) == request
    assert claim(parcels.context, end_of(2), None).champion == 2


def test_the_first_note_of_an_outcome_stands(parcels: Parcels) -> None:
    request = claim(parcels.context, end_of(1), None)
    assert not request.is_done
    done = finish(parcels.context, request, "rejected", "worse", 2)
    assert (done.is_done, done.outcome, done.reason, done.candidate) == (True, "rejected", "worse", 2)
    assert finish(parcels.context, request, "promoted", "better", 3) == done
    assert claim(parcels.context, end_of(1), None) == done


def test_a_claim_whose_run_died_is_taken_over(labelled: Parcels) -> None:
    dead = claim(labelled.context, known_after(1), None)
    request = claim(labelled.context, known_after(1), None)
    assert request == dead
    candidate, export = trained(labelled, request)
    done = conclude(labelled.context, request, candidate, export.id if export else None)
    assert (done.outcome, done.candidate) == ("promoted", 2)
    # The first run was only slow.
    assert conclude(labelled.context, dead, candidate, export.id if export else None) == done
    assert statuses(labelled) == {1: "archived", 2: "champion"}


def test_not_enough_data_registers_nothing(labelled: Parcels) -> None:
    request = claim(labelled.context, known_after(1), None)
    done = conclude(labelled.context, request, NotEnoughData("3 rows"), None)
    assert (done.outcome, done.reason, done.candidate) == ("not_enough_data", "3 rows", None)
    assert statuses(labelled) == {1: "champion"}


def test_a_review_is_asked_for_once(labelled: Parcels) -> None:
    labelled.revise(lambda manifest: manifest["spec"]["training"].update(promotion="review"))
    context = labelled.context
    request = claim(context, known_after(1), None)
    candidate, export = trained(labelled, request)
    for _ in range(2):
        done = conclude(context, request, candidate, export.id if export else None)
        assert (done.outcome, done.candidate) == ("in_review", 2)
    with context.database.session() as session:
        assert session.query(Review).count() == 1
    assert act_on_reviews(context, end_of(2)) == []
    labelled.decide(2, "approved")
    assert [(model.version, model.status) for model in act_on_reviews(context, end_of(2))] == [(2, "champion")]
    assert act_on_reviews(context, end_of(2)) == []


def test_the_first_model_needs_no_review(first: Parcels, tmp_path_factory: pytest.TempPathFactory) -> None:
    made = Parcels(tmp_path_factory.mktemp("review") / "w")
    made.make()
    made.workspace.database().create()
    made.revise(lambda manifest: manifest["spec"]["training"].update(promotion="review"))
    request = claim(made.context, START, None)
    candidate, _ = trained(made, request)
    assert conclude(made.context, request, candidate, None).outcome == "promoted"


def test_another_retrain_that_came_first(labelled: Parcels) -> None:
    """Two checks ask at once; the second one's candidate was compared with a champion that is none any more."""
    early, late = (claim(labelled.context, known_after(1) + minute * timedelta(minutes=1), None) for minute in (0, 1))
    for request in (early, late):
        candidate, export = trained(labelled, request)
        done = conclude(labelled.context, request, candidate, export.id if export else None)
        assert done.is_done
    assert done.outcome == "rejected"
    assert statuses(labelled) == {1: "archived", 2: "champion", 3: "rejected"}
