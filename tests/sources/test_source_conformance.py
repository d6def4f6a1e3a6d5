"""What every source must do, whatever it reads from: files of each format, SQL, and Kafka."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from broker import Broker
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka_place import KafkaPlace
from source_places import FORMATS, LATER, Place, Reader, make_place, record

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.typed import read_typed

PATHS = [JsonPath("$.id"), JsonPath("$.x"), JsonPath("$.note"), JsonPath("$.absent.field")]


def test_reads_everything_once_in_order(place: Place) -> None:
    place.add([record(i) for i in range(50)])
    reader = Reader(place)
    assert reader.drain(max_rows=7) == [f"r{i}" for i in range(50)]
    assert len(reader.batches) == 8
    assert reader.plan() == []


def test_a_plan_never_exceeds_max_rows(place: Place) -> None:
    for name in ("a", "b", "c"):
        place.add([record(i) for i in range(5)], name)
    reader = Reader(place)
    while slices := reader.plan(max_rows=4):
        assert 0 < sum(piece.rows for piece in slices) <= 4
    assert sum(piece.rows for batch in reader.batches for piece in batch) == 15


def test_nothing_to_read_is_an_empty_plan(place: Place) -> None:
    assert Reader(place).plan() == []


def test_replays_the_same_rows_after_more_arrived(place: Place) -> None:
    place.add([record(i) for i in range(20)])
    reader = Reader(place)
    reader.drain(max_rows=6)
    before = [place.source().read(batch, PATHS) for batch in reader.batches]
    place.add([record(i) for i in range(20, 40)])
    reader.drain(max_rows=6)
    after = [place.source().read(batch, PATHS) for batch in reader.batches[: len(before)]]
    for old, new in zip(before, after, strict=True):
        assert old.values.equals(new.values)
        assert old.rows.equals(new.rows)
        assert old.parts.equals(new.parts)
        everything = pl.Series([True] * len(old))
        assert old.raw_json(everything).equals(new.raw_json(everything))


def test_resumes_where_the_planned_batches_end(place: Place) -> None:
    place.add([record(i) for i in range(10)])
    reader = Reader(place)
    first = reader.values(reader.plan(max_rows=3))
    place.add([record(i) for i in range(10, 15)])
    assert first + reader.drain(max_rows=4) == [f"r{i}" for i in range(15)]


def test_rows_are_numbered_through(place: Place) -> None:
    place.add([record(i) for i in range(10)])
    reader = Reader(place)
    reader.drain(max_rows=4)
    rows = [place.source().read(batch, PATHS).rows.to_list() for batch in reader.batches]
    assert [row for batch in rows for row in batch] == list(range(10))


def test_sees_only_what_was_known_by_as_of(place: Place) -> None:
    place.add([record(i) for i in range(30)])
    reader = Reader(place)
    start = datetime(2013, 1, 1, tzinfo=UTC)
    assert reader.drain(start - timedelta(minutes=1)) == []
    assert reader.drain(start + timedelta(minutes=9), max_rows=4) == [f"r{i}" for i in range(10)]
    assert reader.drain(start + timedelta(minutes=9)) == []
    assert reader.drain(LATER) == [f"r{i}" for i in range(10, 30)]


def test_received_at_decides_and_the_event_time_stands_in(place: Place) -> None:
    late = "2013-06-01T00:00:00Z"
    place.add([record(0, received=None), record(1, received="2013-01-01T00:05:00Z"), record(2, received=late)])
    reader = Reader(place, received_at="$.received")
    assert reader.drain(datetime(2013, 1, 2, tzinfo=UTC)) == ["r0", "r1"]
    assert reader.drain(datetime(2013, 6, 2, tzinfo=UTC)) == ["r2"]


def test_a_row_without_a_readable_time_holds_nothing_up(place: Place) -> None:
    place.add([record(0), record(1, timestamp="soon"), record(2), record(3, timestamp="2050-01-01T00:00:00Z")])
    assert Reader(place).drain(datetime(2013, 1, 2, tzinfo=UTC)) == ["r0", "r1", "r2"]


def test_a_time_that_what_follows_proves_wrong_holds_nothing_up(place: Place) -> None:
    late = [record(1, timestamp="9999-12-31T23:59:59Z"), record(2, timestamp="2099-01-01T00:00:00Z")]
    place.add([record(0), *late, record(3), record(4, timestamp="2013-06-01T00:00:00Z"), record(5)])
    reader = Reader(place)
    assert reader.drain(datetime(2012, 1, 2, tzinfo=UTC)) == []
    assert reader.drain(datetime(2013, 1, 2, tzinfo=UTC)) == ["r0", "r1", "r2", "r3"]
    assert reader.drain(datetime(2013, 7, 2, tzinfo=UTC)) == ["r4", "r5"]


def test_a_time_far_ahead_that_nothing_follows_waits_for_what_does(place: Place) -> None:
    place.add([record(0), record(1, timestamp="9999-12-31T23:59:59Z")])
    reader = Reader(place)
    assert reader.drain(datetime(2013, 1, 2, tzinfo=UTC)) == ["r0"]
    place.add([record(2)])
    assert reader.drain(datetime(2013, 1, 2, tzinfo=UTC)) == ["r1", "r2"]


def test_values_survive_whatever_they_hold(place: Place) -> None:
    notes = [
        "naïve 🛫 \u200b",
        'quo"ted, and\nbroken\r\nlines',
        "x" * 1_000_000,
        "  spaces  ",
        "'; DROP TABLE events",
        "\\",
    ]
    place.add([record(i, note=note) for i, note in enumerate(notes)])
    reader = Reader(place)
    assert reader.values(reader.plan(), "$.note") == notes


def test_numbers_survive_and_nan_and_infinities_are_missing(place: Place) -> None:
    numbers = [1.5, float("nan"), float("inf"), float("-inf"), 1e308, 5e-324, -0.1]
    place.add([record(i, x=number) for i, number in enumerate(numbers)])
    reader = Reader(place)
    found = place.source().read(reader.plan(), [JsonPath("$.x")]).values["$.x"]
    typed = read_typed(found, "float")
    assert typed.values.to_list() == [1.5, None, None, None, 1e308, 5e-324, -0.1]
    assert not typed.wrong.any()


def test_an_absent_field_is_null(place: Place) -> None:
    place.add([record(0)])
    reader = Reader(place)
    records = place.source().read(reader.plan(), PATHS)
    assert records.values["$.absent.field"].to_list() == [None]
    assert records.values.columns == list(PATHS)
    assert records.errors.to_list() == [None]


def test_a_record_can_be_shown_as_json(place: Place) -> None:
    place.add([record(0), record(1, note='say "hi"')])
    reader = Reader(place)
    records = place.source().read(reader.plan(), PATHS)
    (shown,) = records.raw_json(pl.Series([False, True]))
    whole = json.loads(shown)
    assert whole.get("id") == "r1" or whole["line"].startswith("r1,")


def test_reading_no_slices_gives_no_records(place: Place) -> None:
    records = place.source().read([], PATHS)
    assert len(records) == 0
    assert records.values.columns == list(PATHS)


def test_ten_thousand_rows_are_read_quickly(place: Place) -> None:
    place.add([record(i) for i in range(10_000)])
    reader = Reader(place)
    reader.values(reader.plan(max_rows=1))
    started = time.perf_counter()
    assert len(reader.values(reader.plan(max_rows=10_000))) == 9_999
    assert time.perf_counter() - started < 2


ARRIVALS = st.lists(st.lists(st.integers(0, 59), min_size=1, max_size=8), min_size=1, max_size=4)
ROWS = st.integers(1, 6)
LOOKS = st.lists(st.integers(0, 70), max_size=4)


@pytest.mark.parametrize("kind", [*FORMATS, "sql"])
@settings(deadline=None, max_examples=10)
@given(arrivals=ARRIVALS, max_rows=ROWS, looks=LOOKS)
def test_whatever_arrives_is_read_exactly_once(
    kind: str, arrivals: list[list[int]], max_rows: int, looks: list[int]
) -> None:
    with TemporaryDirectory() as folder:
        reads_exactly_once(make_place(kind, Path(folder) / "place"), arrivals, max_rows, looks)


@settings(deadline=None, max_examples=4)
@given(arrivals=ARRIVALS, max_rows=ROWS, looks=LOOKS)
def test_whatever_arrives_in_a_topic_is_read_exactly_once(
    broker: Broker, arrivals: list[list[int]], max_rows: int, looks: list[int]
) -> None:
    reads_exactly_once(KafkaPlace(broker), arrivals, max_rows, looks)


def reads_exactly_once(place: Place, arrivals: list[list[int]], max_rows: int, looks: list[int]) -> None:
    """Records arrive in several parts, out of order; plans at growing times read each of them once."""
    reader = Reader(place)
    got, expected = [], []
    for turn, minutes in enumerate(arrivals):
        batch = [record(minute, id=f"{turn}-{i}") for i, minute in enumerate(minutes)]
        place.add(batch, f"part-{(turn * 7) % 3}")
        expected += [item["id"] for item in batch]
        for look in sorted(looks):
            got += reader.drain(datetime(2013, 1, 1, tzinfo=UTC) + timedelta(minutes=look), max_rows)
    got += reader.drain(LATER, max_rows)
    assert sorted(got) == sorted(expected)
