"""The join that reads little comes to the same as one that reads everything."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl
import pytest
from feedback_loop import Event, Loop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sql_join import join_in_sql

from flywheel.feedback import lookup
from flywheel.feedback.counts import JoinCounts
from flywheel.feedback.waiting import Waiting

# Hours from one batch of predictions to the next.
STEP = 4
IDS = ["a", "b", "c", "d", "never"]


@dataclass(frozen=True)
class Turn:
    """What is logged, by id and hour, and what comes in before the join at ``as_of``, an hour."""

    logged: dict[str, float]
    events: list[Event]
    as_of: float


def turns(draw: st.DrawFn) -> list[Turn]:
    at = sorted(draw(st.lists(st.floats(1, 130), min_size=2, max_size=5, unique=True)))
    logged = {name: draw(st.integers(0, len(at) - 1)) for name in IDS if name != "never"}
    happened = {name: draw(st.floats(0, 20)) for name in logged}
    found = []
    for turn, as_of in enumerate(at):
        events = st.builds(
            Event,
            prediction=st.sampled_from(IDS),
            happened=st.sampled_from([0.5, 10.0, 25.0, 40.0]),
            received=st.just(as_of - 0.5),
            label=st.sampled_from(["late", "on_time", None]),
            confidence=st.sampled_from([0.5, 1.0]),
        )
        rows = {name: happened[name] for name, when in logged.items() if when == turn}
        found.append(Turn(rows, draw(st.lists(events, max_size=5)), as_of))
    return found


def run(loop: Loop, story: list[Turn]) -> tuple[list[JoinCounts], list[tuple[str, str]]]:
    counts = []
    for turn in story:
        if turn.logged:
            loop.predict(**turn.logged)
        counts.append(loop.join(turn.events, at_hour=turn.as_of))
    return counts, loop.labels()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.composite(turns)())
def test_it_is_what_one_sql_statement_says(story: list[Turn]) -> None:
    """Predictions and events in any order, some twice, late, early or for nothing; joins hours or days apart."""
    expected = run(Loop(join_in_sql), story)
    assert run(Loop(), story) == expected
    assert run(Loop(remembers=False), story) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "_FEW", 0)
        assert run(Loop(), story) == expected


def test_two_ids_with_the_same_key_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash of 64 bits may come twice in a log of 10^10 rows."""
    one_key = lambda ids: pl.Series("sample_key", [7] * len(ids), dtype=pl.Int64)  # noqa: E731
    monkeypatch.setattr("flywheel.feedback.join.sample_keys", one_key)
    monkeypatch.setattr("feedback_loop.sample_keys", one_key)
    loop = Loop()
    loop.predict(a=0, b=1)
    counts = loop.join([Event("a", 3, 3), Event("b", 3, 3, "on_time"), Event("c", 3, 3)], at_hour=4)
    assert counts == JoinCounts(labelled=2, waiting=1)
    assert loop.labels() == [("a", "late"), ("b", "on_time")]


def test_a_longer_delay_counts_for_what_came_before_it() -> None:
    """What was late by the old delay is looked up again by the new one."""
    loop = Loop()
    loop.predict(a=0)
    assert loop.join([Event("a", 30, 30)], at_hour=31) == JoinCounts(late=1)
    loop.max_delay *= 2
    assert loop.join([], at_hour=32) == JoinCounts(recovered=1)


def test_what_waits_comes_back_from_its_file_as_it_was() -> None:
    loop = Loop()
    loop.predict(other=0)
    loop.join([Event("a", 3, 3), Event("a", 3, 3.5), Event("b", 3, 3)], at_hour=4)
    assert loop.waiting is not None
    again = Waiting.from_bytes(loop.waiting.to_bytes())
    assert again.events.equals(loop.waiting.events)
    assert again.events.height == 3
    assert replace(again, events=loop.waiting.events) == loop.waiting


def test_a_file_is_read_only_where_it_may_hold_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the history is, the newest hour reads the same few files, and as few with a stray old event."""
    few = files_read(monkeypatch, days=6)
    assert files_read(monkeypatch, days=20) == few <= 20
    assert files_read(monkeypatch, days=20, stray=True) <= few + 3 * 24 // STEP


def files_read(monkeypatch: pytest.MonkeyPatch, days: int, *, stray: bool = False) -> int:
    """Count the files that one join reads after so many days of small batches."""
    loop = Loop()
    last = 24.0 * days
    for hour in range(0, 24 * days, STEP):
        loop.predict(**{f"p{hour}": float(hour)})
    loop.join([Event(f"p{24 * days - 28}", last - 8, last - 8)], at_hour=last - 1)
    read: list[str] = []
    scan = lookup.LakeTable.scan

    def spied(table: lookup.LakeTable, files: pl.Series, columns: list[str]) -> pl.LazyFrame:
        read.extend(files)
        return scan(table, files, columns)

    events = [Event(f"p{24 * days - 8}", last - 1, last - 1), Event("nobody", last - 1, last - 1)]
    events += [Event("p24", 26, last - 1)] if stray else []
    with monkeypatch.context() as patch:
        patch.setattr(lookup.LakeTable, "scan", spied)
        assert loop.join(events, at_hour=last) == JoinCounts(labelled=1 + stray, waiting=1)
    return len(set(read))
