"""Times as records write them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.records.times import parse_times

MOMENT = datetime(2013, 1, 1, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2013-01-01T10:30:00Z",
        "2013-01-01T10:30:00.000Z",
        "2013-01-01T10:30:00+00:00",
        "2013-01-01T05:30:00-05:00",
        "2013-01-01T05:30:00-0500",
        "2013-01-01T05:30:00-05",
        "2013-01-01 10:30:00",
        "2013-01-01 10:30:00.000000",
        "2013-01-01T10:30:00",
        "2013-01-01T10:30",
        "2013-01-01T10:30Z",
        " 2013-01-01T10:30:00Z ",
        "1357036200",
        "1357036200.0",
        "1357036200000",
        "1357036200000000",
        "1357036200000000000",
    ],
)
def test_text_of_a_moment(text: str) -> None:
    assert parse_times(pl.Series([text])).to_list() == [MOMENT]


@pytest.mark.parametrize(
    "text", ["soon", "2013-02-30", "2013-13-01T00:00:00Z", "", "NaN", "1e300", "10:30", "+99999-01-01T00:00:00Z"]
)
def test_text_that_is_no_time(text: str) -> None:
    assert parse_times(pl.Series([text])).to_list() == [None]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([1357036200]),
        pl.Series([1357036200.0]),
        pl.Series([1357036200000]),
        pl.Series([MOMENT]),
        pl.Series([MOMENT.replace(tzinfo=None)]),
        pl.Series([MOMENT]).cast(pl.Datetime("ns", "UTC")).dt.convert_time_zone("Europe/Paris"),
        pl.Series([MOMENT]).cast(pl.Datetime("ms", "UTC")),
    ],
)
def test_columns_with_types_of_their_own(column: pl.Series) -> None:
    times = parse_times(column)
    assert times.dtype == pl.Datetime("us", "UTC")
    assert times.to_list() == [MOMENT]


def test_dates_are_midnight_and_other_types_no_times() -> None:
    assert parse_times(pl.Series([date(2013, 1, 1)])).to_list() == [datetime(2013, 1, 1, tzinfo=UTC)]
    for column in (pl.Series([True]), pl.Series([[1]]), pl.Series([None]), pl.Series([b"x"])):
        assert parse_times(column).to_list() == [None]


def test_forms_may_be_mixed_in_one_column() -> None:
    texts = ["2013-01-01T10:30:00Z", "x", "2013-01-01 10:30:00", None, "1357036200", "2013-01-01T10:30:00Z"]
    assert parse_times(pl.Series(texts)).to_list() == [MOMENT, None, MOMENT, None, MOMENT, MOMENT]


@given(st.lists(st.datetimes(timezones=st.timezones()), max_size=5))
def test_isoformat_is_read_back(times: list[Any]) -> None:
    texts = [time.isoformat() for time in times]
    whole = [time for time in times if time.utcoffset().total_seconds() % 60 == 0 and 1 < time.year < 9999]
    kept = parse_times(pl.Series([t.isoformat() for t in whole], dtype=pl.String)).to_list()
    assert kept == [time.astimezone(UTC) for time in whole]
    assert len(parse_times(pl.Series(texts, dtype=pl.String))) == len(times)


@pytest.mark.parametrize(
    ("number", "micros"),
    [
        (99_999_999_999, 99_999_999_999_000_000),
        (100_000_000_000, 100_000_000_000_000),
        (100_000_000_000_000, 100_000_000_000_000),
        (2_913_234_838_825_737_126, 2_913_234_838_825_737),
        (-1.5, -1_500_000),
        (2.5e-6, 2),
    ],
)
def test_numbers_are_whole_microseconds_to_the_nearest(number: float, micros: int) -> None:
    column = pl.Series([number, None, float("nan"), float("-inf"), 1e19], dtype=pl.Float64)
    assert parse_times(column).cast(pl.Int64).to_list() == [micros, None, None, None, None]
