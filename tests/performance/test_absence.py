"""No event came in time: a label, exactly once, that any surer event overrules."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from crashing import Killed, Writes, watching
from parcels import Document, Parcels, end_of
from plain import run
from state import assert_same, state_of

from flows.infer import infer
from flows.join_feedback import FeedbackSummary, join_feedback

HOUR = timedelta(hours=1)


def _with_absence(document: Document) -> None:
    document["spec"]["feedback"]["labels"].append({"absent": True, "label": "on_time", "confidence": 0.6})


def scored(parcels: Parcels) -> None:
    """Parcels ``p1-0`` … of day 1, one an hour from 00:30 on; only the first has been delivered."""
    parcels.revise(_with_absence)
    parcels.day(1, 24)
    run(infer, parcels, end_of(1))
    deliveries = parcels.root / "data" / "deliveries" / "01.ndjson"
    deliveries.write_text(deliveries.read_text().partition("\n")[0] + "\n")


def join(parcels: Parcels, day: float) -> FeedbackSummary:
    summary = run(join_feedback, parcels, end_of(day))
    assert isinstance(summary, FeedbackSummary)
    return summary


def event(parcels: Parcels, parcel: str, hours: float, received_as: str) -> None:
    happened = (end_of(0) + hours * HOUR).isoformat()
    parcels.events(
        received_as,
        pl.DataFrame(
            [{"id": parcel, "event": "delivered", "timestamp": happened, "arrival": {"minutes_late": 5.0}}],
        ),
    )


def absent(parcels: Parcels) -> pl.DataFrame:
    return parcels.table("labels").filter(pl.col("event") == "absent").sort("event_time")


def test_each_prediction_is_considered_once(parcels: Parcels) -> None:
    """Half a day after the delay of 48 hours has begun to end, eleven of the first twelve parcels are absent."""
    scored(parcels)
    assert join(parcels, 2).absent == 0
    assert join(parcels, 2.5).absent == 11
    assert join(parcels, 2.5).batches == 0
    assert join(parcels, 2.6).absent == 2
    rows = absent(parcels)
    assert rows["prediction_id"].to_list() == [f"p1-{number}" for number in range(1, 14)]
    assert set(rows["label"]) == {"on_time"}
    assert set(rows["confidence"]) == {0.6}
    assert rows["event_time"][0] == end_of(2) + 1.5 * HOUR
    assert rows["received_at"].to_list() == [end_of(2.5)] * 11 + [end_of(2.6)] * 2
    assert set(rows["date"]) == {end_of(0).date()}


def test_what_was_due_when_it_was_logged_is_considered_too(parcels: Parcels) -> None:
    """A backfill: the predictions of day 1 are made on day 6, after a join that found nothing to do."""
    parcels.revise(_with_absence)
    parcels.day(5, 24)
    run(infer, parcels, end_of(5))
    assert join(parcels, 8.5).absent == 0  # all of day 5 delivered
    parcels.day(1, 24)
    (parcels.root / "data" / "deliveries" / "01.ndjson").unlink()
    run(infer, parcels, end_of(6))
    assert join(parcels, 8.5).absent == 24
    assert join(parcels, 9).batches == 1
    assert absent(parcels).height == 24


def test_a_surer_event_wins_and_is_no_conflict(parcels: Parcels) -> None:
    scored(parcels)
    join(parcels, 4)
    event(parcels, "p1-3", 40, "late.ndjson")
    told = join(parcels, 4.1)
    assert (told.labelled, told.conflicts, told.absent) == (1, 0, 0)
    labels = parcels.table("labels").filter(pl.col("prediction_id") == "p1-3").sort("confidence")
    assert labels["event"].to_list() == ["absent", "delivered"]


def test_a_new_rule_catches_up_by_the_week(parcels: Parcels) -> None:
    """A day at a time would do as well; what was logged long ago is not read at once."""
    scored(parcels)
    told = join(parcels, 30)
    assert told.absent == 23
    assert told.batches == 1 + 4  # the event; 28 days since the first delay was over


def test_killed_anywhere(parcels: Parcels, tmp_path: Path) -> None:
    scored(parcels)
    join(parcels, 2)
    undisturbed = parcels.copy(tmp_path / "undisturbed")
    with watching(Writes()) as writes:
        join(undisturbed, 2.5)
    wanted = state_of(undisturbed)
    assert "append to labels" in writes.seen
    for number, what in enumerate(writes.seen, start=1):
        for torn in (False, True) if what.startswith("append") else (False,):
            copy = parcels.copy(tmp_path / f"{number}-{torn}")
            with watching(Writes(number, torn)), pytest.raises(Killed):
                join(copy, 2.5)
            join(copy, 2.5)
            assert_same(state_of(copy), wanted)
