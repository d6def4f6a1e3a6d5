"""Two runs of the same flow at once: what one would have written, once, and no error that a person must act on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import polars as pl
from parcels import NAME, Parcels, end_of, known_after
from state import assert_same, metadata_of, state_of

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain

Answer = TypeVar("Answer")


def twice_at_once(act: Callable[[], Answer]) -> tuple[Answer, Answer]:
    """Run ``act`` in two threads, begun together."""
    together = Barrier(2)

    def start() -> Answer:
        together.wait()
        return act()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(start), pool.submit(start)
        return first.result(), second.result()


def test_two_infer_runs(parcels: Parcels) -> None:
    made = parcels.day(1, 1000)
    both = twice_at_once(lambda: infer(NAME, as_of=end_of(1)))
    assert max(summary.batches for summary in both) <= 5 <= sum(summary.batches for summary in both)
    rows = parcels.table("predictions")
    assert sorted(rows["prediction_id"]) == sorted(made["id"])
    assert dict(rows["batch_id"].value_counts().rows()) == dict.fromkeys(range(1, 6), 200)
    batches = metadata_of(parcels)["batches"]
    assert [(batch["number"], batch["status"], batch["counts"]["ok"]) for batch in batches] == [
        (number, "committed", 200) for number in range(1, 6)
    ]
    assert parcels.archive().height == 1000
    assert parcels.table("profiles").select("batch_id", "feature", "bin").is_duplicated().sum() == 0


def test_two_feedback_joins(parcels: Parcels) -> None:
    parcels.day(1, 400)
    infer(NAME, as_of=end_of(1))
    undisturbed = parcels.copy(parcels.root.with_name("alone"))
    twice_at_once(lambda: join_feedback(NAME, as_of=known_after(1)))
    assert parcels.table("labels").height == parcels.table("feedback").height == 400
    undisturbed.select()
    join_feedback(NAME, as_of=known_after(1))
    assert_same(state_of(parcels), state_of(undisturbed))


def test_two_retrains_of_one_check(parcels: Parcels) -> None:
    parcels.day(1, 400, shift=100)
    infer(NAME, as_of=end_of(1))
    join_feedback(NAME, as_of=known_after(1))
    check = check_drift(NAME, as_of=known_after(1))
    first, second = twice_at_once(lambda: retrain(NAME, check_id=check.check_id))
    assert first == second
    assert (first.outcome, first.candidate) == ("promoted", 2)
    assert [model.version for model in parcels.versions()] == [1, 2]
    events = pl.DataFrame(metadata_of(parcels)["model_events"], infer_schema_length=None)
    assert events.filter(version=2)["event"].to_list() == ["registered", "evaluated", "promoted"]
    assert len(metadata_of(parcels)["exports"]) == 1
