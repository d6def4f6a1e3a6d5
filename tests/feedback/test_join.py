"""Feedback events find their predictions, whatever the order, the batches and the repetitions."""

from __future__ import annotations

from feedback_loop import Event, Loop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.feedback.counts import JoinCounts


def test_an_event_labels_its_prediction() -> None:
    loop = Loop()
    loop.predict(a=0, b=1)
    assert loop.join([Event("a", 3, 3)], at_hour=4) == JoinCounts(labelled=1)
    assert loop.labels() == [("a", "late")]


def test_repeated_deliveries_give_one_label_and_are_counted() -> None:
    loop = Loop()
    loop.predict(a=0)
    assert loop.join([Event("a", 3, 3), Event("a", 3, 3.5)], at_hour=4) == JoinCounts(labelled=1, duplicates=1)
    assert loop.join([Event("a", 3, 5)], at_hour=6) == JoinCounts(duplicates=1)
    assert loop.labels() == [("a", "late")]


def test_a_second_opinion_is_kept_and_counted_as_a_conflict() -> None:
    loop = Loop()
    loop.predict(a=0)
    loop.join([Event("a", 3, 3)], at_hour=4)
    assert loop.join([Event("a", 5, 5, "on_time", 0.5)], at_hour=6) == JoinCounts(labelled=1, conflicts=1)
    assert loop.labels() == [("a", "late"), ("a", "on_time")]


def test_an_event_after_the_delay_is_late_once() -> None:
    loop = Loop()
    loop.predict(a=0)
    assert loop.join([Event("a", 24.01, 25)], at_hour=26) == JoinCounts(late=1)
    assert loop.join([], at_hour=27) == JoinCounts()
    loop.predict(b=10)
    assert loop.join([Event("b", 34, 34)], at_hour=35).labelled == 1  # exactly 24 h is in time
    assert loop.labels() == [("b", "late")]


def test_an_event_no_rule_matches_is_counted() -> None:
    loop = Loop()
    loop.predict(a=0)
    assert loop.join([Event("a", 1, 1, label=None)], at_hour=2) == JoinCounts(unlabelled=1)
    assert loop.labels() == []


def test_an_event_before_its_prediction_waits_for_it() -> None:
    loop = Loop()
    assert loop.join([Event("a", 3, 3)], at_hour=4) == JoinCounts(waiting=1)
    loop.predict(a=0)
    assert loop.join([], at_hour=5) == JoinCounts(recovered=1)
    assert loop.join([], at_hour=6) == JoinCounts()
    assert loop.labels() == [("a", "late")]


def test_an_event_that_waited_in_vain_is_an_orphan_once() -> None:
    loop = Loop()
    loop.predict(other=0)
    assert loop.join([Event("a", 3, 3)], at_hour=4) == JoinCounts(waiting=1)
    assert loop.join([], at_hour=26.9) == JoinCounts(waiting=1)
    assert loop.join([], at_hour=27.1) == JoinCounts(orphans=1)
    assert loop.join([], at_hour=30) == JoinCounts()
    assert loop.join([], at_hour=60) == JoinCounts()


def test_only_batches_of_predictions_that_the_plan_saw_are_joined() -> None:
    loop = Loop()
    loop.predict(a=0)
    loop.predict(b=0)
    loop.logged = 1
    assert loop.join([Event("a", 1, 1), Event("b", 1, 1)], at_hour=2) == JoinCounts(labelled=1, waiting=1)


def test_a_join_that_died_before_its_labels_were_written_comes_to_the_same() -> None:
    loop = Loop()
    loop.predict(a=0, b=1)
    events = [Event("a", 3, 3), Event("a", 3, 3), Event("zzz", 3, 3)]
    first = loop.join(events, at_hour=4, write=False)
    assert loop.join(events, at_hour=4) == first
    assert loop.labels() == [("a", "late")]


EVENTS = st.builds(
    Event,
    prediction=st.sampled_from(["a", "b", "c", "nobody"]),
    happened=st.sampled_from([1.0, 5.0, 20.0, 24.0, 30.0]),
    received=st.just(0.0),
    label=st.sampled_from(["late", "on_time", None]),
    confidence=st.sampled_from([0.5, 1.0]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(st.lists(EVENTS, max_size=5), min_size=1, max_size=4))
def test_the_labels_do_not_depend_on_the_batches(batches: list[list[Event]]) -> None:
    """Against a definition in plain Python: distinct labelled events within the delay of their prediction."""
    loop = Loop()
    predicted = {"a": 0.0, "b": 2.0, "c": 8.0}
    loop.predict(**predicted)
    counts = [
        loop.join(
            [Event(e.prediction, e.happened, 31 + turn, e.label, e.confidence) for e in events], at_hour=32 + turn
        )
        for turn, events in enumerate(batches)
    ]
    all_events = [event for events in batches for event in events]
    expected = {
        (event.prediction, event.happened, event.label)
        for event in all_events
        if event.label and event.prediction in predicted and event.happened <= predicted[event.prediction] + 24
    }
    assert loop.labels() == sorted((prediction, label or "") for prediction, _, label in expected)
    assert sum(count.labelled for count in counts) == len(expected)
    known = [event for event in all_events if event.prediction in predicted]
    classified = sum(count.labelled + count.duplicates + count.late + count.unlabelled for count in counts)
    unknown = [event for event in all_events if event.prediction == "nobody"]
    distinct_unknown = {(e.happened, e.label) for e in unknown if e.label}
    unlabelled_unknown = sum(1 for event in unknown if not event.label)
    repeated_unknown = len(unknown) - unlabelled_unknown - len(distinct_unknown)
    assert classified == len(known) + unlabelled_unknown + repeated_unknown
