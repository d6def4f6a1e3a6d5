"""Feedback that comes twice, too late, too early, for nothing, or against other feedback: counted, and never lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
from parcels import START, Parcels, end_of, known_after
from plain import run

from flows.infer import infer
from flows.join_feedback import FeedbackSummary, join_feedback

HOUR = timedelta(hours=1)


def event(parcel: str, hours: float, minutes_late: float = 5.0, name: str = "delivered") -> dict[str, Any]:
    return {
        "id": parcel,
        "event": name,
        "timestamp": (START + hours * HOUR).isoformat(),
        "arrival": {"minutes_late": minutes_late},
    }


def scored(parcels: Parcels, count: int = 24) -> None:
    """Score parcels ``p1-0``, ``p1-1`` … of day 1, one an hour, without feedback on them."""
    parcels.day(1, count)
    run(infer, parcels, end_of(1))
    (parcels.root / "data/deliveries/01.ndjson").unlink()


def join(parcels: Parcels, day: float, *events: dict[str, Any]) -> dict[str, int]:
    """Join events that arrive before ``day`` ends; return the counts that are not 0."""
    parcels.events(f"{day:05.2f}.ndjson", pl.DataFrame(events))
    return counts(run(join_feedback, parcels, end_of(day)))


def counts(summary: FeedbackSummary) -> dict[str, int]:
    return {name: value for name, value in summary.model_dump(exclude={"pipeline", "batches"}).items() if value}


def test_duplicates_and_conflicts(parcels: Parcels) -> None:
    scored(parcels)
    first = event("p1-0", 30)
    assert join(parcels, 1.5, first, first, event("p1-1", 30)) == {"events": 3, "labelled": 2, "duplicates": 1}
    assert join(parcels, 1.6, first) == {"events": 1, "duplicates": 1}
    assert join(parcels, 1.7, event("p1-1", 31, minutes_late=-5)) == {"events": 1, "labelled": 1, "conflicts": 1}
    labels = parcels.table("labels").sort("prediction_id", "event_time")
    assert labels["label"].to_list() == ["late", "late", "on_time"]
    assert parcels.table("feedback").height == 5


def test_late_events(parcels: Parcels) -> None:
    """The first parcel is due half an hour after START; two days later its feedback is too late."""
    scored(parcels)
    assert join(parcels, 3, event("p1-0", 48.4), event("p1-1", 49.6), event("p1-2", 50)) == {
        "events": 3,
        "labelled": 2,
        "late": 1,
    }
    assert set(parcels.table("labels")["prediction_id"]) == {"p1-0", "p1-2"}


def test_an_event_without_a_prediction_waits_and_is_given_up_once(parcels: Parcels) -> None:
    scored(parcels)
    assert join(parcels, 1.5, event("lost", 30)) == {"events": 1, "waiting": 1}
    assert join(parcels, 2.5, event("p1-0", 40)) == {"events": 1, "labelled": 1, "waiting": 1}
    assert join(parcels, 4, event("p1-1", 42)) == {"events": 1, "labelled": 1, "orphans": 1}
    assert join(parcels, 4.5, event("p1-2", 43)) == {"events": 1, "labelled": 1}


def test_an_event_before_its_prediction(parcels: Parcels) -> None:
    """The prediction is logged only after the event has come: the next join finds it, without a new event."""
    parcels.day(1, 24)
    assert counts(run(join_feedback, parcels, known_after(1))) == {"events": 24, "waiting": 24}
    assert counts(run(join_feedback, parcels, known_after(1))) == {}
    run(infer, parcels, known_after(1))
    assert counts(run(join_feedback, parcels, known_after(1))) == {"recovered": 24}
    assert parcels.table("labels").height == 24


def test_events_that_say_nothing(parcels: Parcels) -> None:
    scored(parcels)
    assert join(
        parcels,
        2,
        event("p1-0", 30, name="returned"),
        {**event("p1-1", 30), "id": None},
        {**event("p1-2", 30), "timestamp": "soon"},
        event("p1-3", 30),
    ) == {"events": 4, "quarantined": 2, "unlabelled": 1, "labelled": 1}
    quarantine = parcels.table("quarantine").sort("row")
    assert quarantine["reason"].to_list() == ["no id at $.id", "no time at $.timestamp: soon"]
    assert set(quarantine["feed"]) == {"feedback"}
