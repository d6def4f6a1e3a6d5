"""The loop, through its flows: records in, a shifted day, a better model out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from crashing import Writes, watching
from parcels import NAME, Parcels, end_of, known_after
from plain import run
from state import assert_same, metadata_of, state_of

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain

Answer = TypeVar("Answer")


def test_a_shifted_day_leads_to_a_better_model(parcels: Parcels) -> None:
    parcels.day(1, 400)
    first = infer(NAME, as_of=end_of(1))
    assert (first.batches, first.records, first.ok) == (2, 400, 400)
    joined = join_feedback(NAME, as_of=known_after(1))
    assert (joined.events, joined.labelled) == (400, 400)
    calm = check_drift(NAME, as_of=known_after(1))
    assert (calm.outcome, calm.action) == ("no_drift", "none")

    shifted = parcels.day(2, 400, shift=100)
    infer(NAME, as_of=end_of(2))
    join_feedback(NAME, as_of=known_after(2))
    check = check_drift(NAME, as_of=known_after(2))
    assert (check.outcome, check.severity, check.action) == ("drift", "critical", "retrain")
    assert "km" in check.reason or "prediction" in check.reason

    assert _nothing_changes(parcels, lambda: check_drift(NAME, as_of=known_after(2))) == check

    done = retrain(NAME, check_id=check.check_id)
    assert (done.outcome, done.candidate, done.key) == ("promoted", 2, check.check_id)
    assert parcels.champion() == 2

    # The model server is told by nobody: the plan names the version, and it serves that one on demand.
    parcels.day(3, 400, shift=100)
    infer(NAME, as_of=end_of(3))
    rows = parcels.table("predictions").filter(batch_id=6)
    assert set(rows["model_version"]) == {2}
    before = parcels.table("predictions").filter(batch_id=4)
    assert before.height == rows.height == 200
    assert shifted.height == 400

    again = _nothing_changes(parcels, lambda: retrain(NAME, check_id=check.check_id))
    assert again == done
    assert _nothing_changes(parcels, lambda: infer(NAME, as_of=end_of(3))).batches == 0
    assert _nothing_changes(parcels, lambda: join_feedback(NAME, as_of=known_after(2))).batches == 0


def test_every_prediction_gets_its_label(parcels: Parcels) -> None:
    made = parcels.day(1, 250)
    infer(NAME, as_of=end_of(1))
    join_feedback(NAME, as_of=known_after(1))
    labels = parcels.table("labels").select("prediction_id", "label")
    truth = made.select("id", "minutes_late").rows()
    expected = {parcel: "late" if minutes > 0 else "on_time" for parcel, minutes in truth}
    assert dict(labels.rows()) == expected
    archive = parcels.archive()
    logged = parcels.table("predictions")
    assert archive.select("prediction_id", "km", "prediction").equals(
        logged.select("prediction_id", "km", "prediction")
    )
    assert metadata_of(parcels)["deliveries"] == [
        {"pipeline": NAME, "number": number, "sink": sink, "rows": rows}
        for number, all_rows in ((1, 200), (2, 50))
        for sink, rows in (("archive", all_rows), ("shout", _loud(parcels, number)))
    ]


def test_a_run_sees_only_what_was_known_at_its_time(parcels: Parcels) -> None:
    parcels.day(1, 200)
    assert run(infer, parcels, end_of(0.25)).records == 50
    assert run(infer, parcels, end_of(0.25)).records == 0
    assert run(infer, parcels, end_of(0.5)).records == 50
    # A delivery is known two hours after the record that it is about.
    assert run(join_feedback, parcels, end_of(0.25)).labelled == 33
    assert parcels.table("labels")["received_at"].max() <= end_of(0.25)
    assert run(infer, parcels, end_of(1)).records == 100
    assert run(join_feedback, parcels, known_after(1)).labelled == 167
    # A check at an earlier time is one of the predictions that had been made by then.
    early = run(check_drift, parcels, end_of(0.5))
    assert early.outcome == "no_drift"
    assert early.check_id.endswith(".1-2")
    assert run(check_drift, parcels, end_of(1)).check_id.endswith(".1-3")


def test_a_run_stops_after_max_batches_and_the_next_goes_on(parcels: Parcels) -> None:
    parcels.day(1, 500)
    assert infer(NAME, as_of=end_of(1), max_batches=1).records == 200
    assert infer(NAME, as_of=end_of(1), max_batches=1).records == 200
    assert infer(NAME, as_of=end_of(1)).records == 100
    assert parcels.table("predictions")["prediction_id"].n_unique() == 500


def _loud(parcels: Parcels, number: int) -> int:
    rows = parcels.table("predictions").filter(batch_id=number)
    return int((rows["prediction"].struct.field("score") > 0.5).sum())


def _nothing_changes(parcels: Parcels, act: Callable[[], Answer]) -> Answer:
    before = state_of(parcels)
    with watching(Writes()) as writes:
        answer = act()
    assert writes.seen == []
    assert_same(state_of(parcels), before)
    return answer
