"""Drift that costs nothing is recorded; a model that has decayed is retrained, whether or not a feature moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from parcels import NAME, Parcels, drift_of, end_of, known_after
from plain import run
from state import metadata_of

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain


def by_harm(manifest: dict[str, Any]) -> None:
    config = drift_of(manifest)
    config.pop("thresholds")
    config.update(false_alarms="1 per 365d", window="1d", cooldown="0h")


def a_day(parcels: Parcels, day: int, **changes: float) -> datetime:
    """Score a day and join its feedback; return when all of it is known."""
    parcels.day(day, 400, **changes)
    run(infer, parcels, end_of(day))
    run(join_feedback, parcels, known_after(day))
    return known_after(day)


def test_drift_without_harm_is_recorded_and_nothing_more(parcels: Parcels) -> None:
    parcels.revise(by_harm)
    calm = run(check_drift, parcels, a_day(parcels, 1))
    assert (calm.outcome, calm.action) == ("no_drift", "none")
    # Heavier parcels: the model has a look at the weight, and does not need it.
    check = run(check_drift, parcels, a_day(parcels, 2, heavier=1.5))
    assert (check.outcome, check.action) == ("drift", "none"), check.reason
    assert "kilos" in check.reason
    assert "has not decayed" in check.reason
    row = metadata_of(parcels)["drift_checks"][-1]
    assert (row["harm"], row["notice"], row["alert_id"]) == ("harmless", "none", None)


def test_drift_where_the_model_does_not_look_is_recorded_and_not_acted_upon(parcels: Parcels) -> None:
    """How heavy a parcel is tells this model nothing; how far it goes does."""
    parcels.revise(by_harm, lambda manifest: drift_of(manifest).update(act_on="drift", importance="model"))
    run(retrain, parcels, a_day(parcels, 1))
    assert parcels.champion() == 2
    ignored = run(check_drift, parcels, a_day(parcels, 2, heavier=1.5))
    assert (ignored.outcome, ignored.action) == ("no_drift", "none"), ignored.reason
    kilos = next(each for each in metadata_of(parcels)["drift_checks"][-1]["measures"] if each["feature"] == "kilos")
    assert kilos["measures"]["psi"] > 0.25
    parcels.day(3, 400, shift=30)
    run(infer, parcels, end_of(3))
    assert run(check_drift, parcels, end_of(3)).action == "retrain"


def test_decay_without_drift_is_retrained(parcels: Parcels) -> None:
    """The same parcels, but all of them come 40 minutes later than the model has learned."""
    parcels.revise(by_harm)
    check = run(check_drift, parcels, a_day(parcels, 1, delay=40))
    assert (check.outcome, check.action) == ("no_drift", "retrain"), check.reason
    assert check.severity in ("medium", "high", "critical")
    assert check.reason.startswith("the model has decayed: correcting its answers would have saved")
    row = metadata_of(parcels)["drift_checks"][-1]
    assert (row["harm"], row["notice"], row["alert_id"]) == ("harmful", "opened", check.check_id)
    assert row["decay"]["saved"] > 0.01 * row["decay"]["loss"]


def test_without_labels_drift_alone_decides(parcels: Parcels) -> None:
    parcels.revise(by_harm)
    parcels.day(1, 400, shift=100)
    run(infer, parcels, end_of(1))
    check = run(check_drift, parcels, end_of(1))
    assert (check.outcome, check.action) == ("drift", "retrain")
    assert "not known yet" in check.reason


def test_an_alert_is_told_once_and_is_over_when_it_is(parcels: Parcels) -> None:
    def alerting(manifest: dict[str, Any]) -> None:
        drift_of(manifest).update(on_drift="alert", window="12h", min_rows=50, clear_after=2)

    parcels.revise(alerting)
    actions, notices = [], []
    for day, shift in enumerate([100, 100, 0, 0, 0, 100], start=1):
        parcels.day(day, 200, shift=shift)
        run(infer, parcels, end_of(day))
        actions.append(run(check_drift, parcels, end_of(day)).action)
        notices.append(metadata_of(parcels)["drift_checks"][-1]["notice"])
    assert actions == ["alert", "none", "none", "none", "none", "alert"]
    assert notices == ["opened", "ongoing", "none", "resolved", "none", "opened"]
    first, second = metadata_of(parcels)["drift_alerts"]
    assert (first["checks"], first["resolved_at"]) == (2, end_of(4))
    assert (second["checks"], second["resolved_at"]) == (1, None)
    again = check_drift(NAME, as_of=end_of(4))
    assert again.action == "none", "decided before"
    assert len(metadata_of(parcels)["drift_alerts"]) == 2
