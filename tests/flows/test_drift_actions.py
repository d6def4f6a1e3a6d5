"""What a drift check leads to: nothing, an alert, a retrain, the fallback; and decisions whose event was lost."""

from __future__ import annotations

import pytest
from parcels import NAME, Edit, Parcels, drift_of, end_of, inference_of, known_after
from plain import run
from state import metadata_of

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.reconcile import reconcile
from flows.retrain import retrain
from flywheel.errors import FlywheelError


def drift(**fields: object) -> Edit:
    return lambda manifest: drift_of(manifest).update(fields)


def shifted_day(parcels: Parcels, day: int) -> None:
    parcels.day(day, 200, shift=100)
    run(infer, parcels, end_of(day))


def test_shadow_measures_and_never_acts(parcels: Parcels) -> None:
    parcels.revise(drift(mode="shadow"))
    shifted_day(parcels, 1)
    check = run(check_drift, parcels, end_of(1))
    assert (check.outcome, check.severity, check.action) == ("drift", "critical", "none")
    assert check.reason.endswith("mode shadow measures and never acts")
    assert reconcile(NAME, as_of=end_of(9)).answered == []
    assert parcels.champion() == 1


def test_an_alert_starts_no_retrain(parcels: Parcels) -> None:
    parcels.revise(drift(on_drift="alert"))
    shifted_day(parcels, 1)
    assert run(check_drift, parcels, end_of(1)).action == "alert"
    assert reconcile(NAME, as_of=end_of(9)).answered == []


def test_the_fallback_until_the_window_is_calm_again(parcels: Parcels) -> None:
    parcels.revise(
        drift(on_drift="fallback", window="12h", min_rows=50),
        lambda manifest: inference_of(manifest).update(fallback="return_null"),
    )
    shifted_day(parcels, 1)
    assert set(parcels.table("predictions")["status"]) == {"ok"}
    assert run(check_drift, parcels, end_of(1)).action == "fallback"
    parcels.day(2, 200)
    assert run(infer, parcels, end_of(2)).fallback == 200
    # The features are as they were; that the model was not asked is no drift of it.
    calm = run(check_drift, parcels, end_of(2))
    assert (calm.outcome, calm.action) == ("no_drift", "none")
    parcels.day(3, 200)
    assert run(infer, parcels, end_of(3)).ok == 200


def test_a_cooldown(parcels: Parcels) -> None:
    parcels.revise(drift(on_drift="alert", cooldown="3d"))
    shifted_day(parcels, 1)
    assert run(check_drift, parcels, end_of(1)).action == "alert"
    shifted_day(parcels, 2)
    second = run(check_drift, parcels, end_of(2))
    assert (second.outcome, second.action) == ("drift", "none")
    assert "cooling down until 2024-03-05T00:00:00Z" in second.reason
    shifted_day(parcels, 4)
    assert run(check_drift, parcels, end_of(4)).action == "alert"


def test_too_few_rows_to_judge(parcels: Parcels) -> None:
    parcels.day(1, 60, shift=100)
    run(infer, parcels, end_of(1))
    check = run(check_drift, parcels, end_of(1))
    assert (check.outcome, check.action) == ("not_enough_data", "none")


def test_no_baseline(parcels: Parcels) -> None:
    for file in (parcels.root / ".flywheel/lake/baselines").rglob("*.json"):
        file.unlink()
    with pytest.raises(FlywheelError, match="has no baseline") as refused:
        run(check_drift, parcels, end_of(1))
    assert "flywheel run retrain -p parcels" in refused.value.next_step
    # Predictions do not wait for it.
    parcels.day(1, 20)
    assert run(infer, parcels, end_of(1)).ok == 20


def test_a_decision_whose_event_was_lost_is_answered_once(parcels: Parcels) -> None:
    shifted_day(parcels, 1)
    join_feedback(NAME, as_of=known_after(1))
    check = check_drift(NAME, as_of=known_after(1))
    assert check.action == "retrain"
    assert reconcile(NAME, as_of=end_of(1)).answered == [], "the check was made later than this"
    assert reconcile(NAME, as_of=end_of(2)).answered == [f"{check.check_id}: promoted"]
    assert reconcile(NAME, as_of=end_of(2)).answered == []
    # The event comes after all.
    assert retrain(NAME, check_id=check.check_id).candidate == 2
    assert [model.version for model in parcels.versions()] == [1, 2]
    retraining = metadata_of(parcels)["retrainings"][-1]
    assert (retraining["key"], retraining["as_of"]) == (check.check_id, known_after(1))
