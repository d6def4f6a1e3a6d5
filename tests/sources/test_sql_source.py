"""SQL by a growing cursor: ties, types of cursors, awkward queries, and errors that keep the password."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from source_places import LATER, Reader, SqlPlace, record

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import SqlSourceSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.sources.base import Progress, SourceDownError, SourceError
from flywheel.sources.cursor import read_cursor, write_cursor
from flywheel.sources.fetched import to_series
from flywheel.sources.open import open_source


@pytest.fixture
def sql(tmp_path: Path) -> SqlPlace:
    return SqlPlace(tmp_path / "events.db")


def test_rows_with_the_same_cursor_value_stay_together(sql: SqlPlace) -> None:
    sql.add([record(i // 3, id=f"{i}") for i in range(12)])
    reader = Reader(sql, cursor="timestamp")
    got = reader.drain(max_rows=4)
    assert sorted(got, key=int) == [str(i) for i in range(12)]
    assert [batch[0].rows for batch in reader.batches] == [3, 3, 3, 3]


def test_more_equal_cursor_values_than_a_batch_holds_come_as_one(sql: SqlPlace) -> None:
    sql.add([record(0, id=f"{i}") for i in range(9)] + [record(1, id="9")])
    reader = Reader(sql, cursor="timestamp")
    assert sorted(reader.drain(max_rows=4), key=int) == [str(i) for i in range(10)]
    assert [batch[0].rows for batch in reader.batches] == [9, 1]


def test_rows_with_the_same_cursor_value_have_a_fixed_order(sql: SqlPlace) -> None:
    sql.add([record(0, id=name) for name in "cab"])
    reader = Reader(sql, cursor="timestamp")
    assert reader.drain() == ["a", "b", "c"]


def test_a_group_waits_until_all_of_it_is_known(sql: SqlPlace) -> None:
    sql.add([record(0, note="g"), record(1, note="h"), record(9, note="h"), record(2, note="i")])
    reader = Reader(sql, cursor="note")
    assert reader.drain(datetime(2013, 1, 1, 0, 5, tzinfo=UTC)) == ["r0"]
    assert reader.drain(LATER) == ["r1", "r9", "r2"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT *, ' :name 50% ::x' AS extra FROM events",
        "SELECT * FROM events WHERE id LIKE 'r%' ORDER BY id DESC",
        "WITH e AS (SELECT * FROM events) SELECT * FROM e -- a comment",
        "SELECT seq, id, timestamp FROM events;",
    ],
)
def test_the_query_is_wrapped_as_it_stands(sql: SqlPlace, query: str) -> None:
    sql.add([record(i) for i in range(5)])
    assert Reader(sql, query=query).drain(max_rows=2) == [f"r{i}" for i in range(5)]


def test_columns_with_odd_names(sql: SqlPlace) -> None:
    sql.add([record(0)])
    query = 'SELECT seq AS "the ""seq""; --", id AS "Id", timestamp FROM events'
    reader = Reader(sql, query=query, cursor='the "seq"; --')
    assert reader.values(reader.plan(), "$.Id") == ["r0"]


def test_other_dialects_get_their_own_sql() -> None:
    from sqlalchemy.dialects import mysql, postgresql

    statement = sa.text(r"SELECT x::int, '\:a', '50%' FROM t" + "\n").columns(sa.column("Seq")).subquery("source")
    query = sa.select(statement.c["Seq"]).where(statement.c["Seq"] > 5).limit(3)
    assert 'source."Seq"' in str(query.compile(dialect=postgresql.dialect()))
    assert "':a'" in str(query.compile(dialect=postgresql.dialect()))
    assert "source.`Seq`" in str(query.compile(dialect=mysql.dialect()))


def test_an_unknown_cursor_column_is_suggested(sql: SqlPlace) -> None:
    with pytest.raises(SourceError, match=r"no column 'sequ' \(did you mean 'seq'\?\)"):
        Reader(sql, cursor="sequ").plan()


def test_a_failing_query_says_why_and_keeps_the_password(sql: SqlPlace) -> None:
    with pytest.raises(SourceError, match="no such table: missing"):
        Reader(sql, query="SELECT * FROM missing").plan()
    url = "postgresql+psycopg://user:s3cret@127.0.0.1:1/db?connect_timeout=1"
    spec = SqlSourceSpec(type="sql", url=url, query="SELECT 1 AS a", cursor="a")
    with pytest.raises(SourceError) as raised:
        open_source(spec, StorageMap()).plan({}, LATER, 10)
    assert "s3cret" not in str(raised.value)


def test_a_database_that_is_not_there_may_come() -> None:
    url = "postgresql+psycopg://me:hunter2@127.0.0.1:1/records"
    spec = SqlSourceSpec(type="sql", url=url, query="SELECT 1", cursor="seq")
    with pytest.raises(SourceDownError, match="Connection refused") as raised:
        open_source(spec, StorageMap()).plan({}, LATER, 10)
    assert "hunter2" not in str(raised.value)


def test_a_driver_that_is_not_there_is_a_clear_error() -> None:
    for url in ("nosuchdb://host/db", "mysql+mysqldb://host/db", "no url: s3cret"):
        spec = SqlSourceSpec(type="sql", url=url, query="SELECT 1 AS a", cursor="a")
        with pytest.raises(SourceError) as raised:
            open_source(spec, StorageMap()).plan({}, LATER, 10)
        assert "s3cret" not in str(raised.value)


CURSORS = st.one_of(
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.datetimes(timezones=st.just(UTC)),
    st.datetimes(),
    st.dates(),
    st.decimals(allow_nan=False),
    st.uuids(),
)


@given(CURSORS)
def test_a_cursor_value_is_kept_exactly(value: int | float | str | datetime | date | Decimal | UUID) -> None:
    kept = read_cursor(write_cursor(value))
    assert kept == value
    assert type(kept) is type(value)


def test_a_cursor_of_bytes_is_refused() -> None:
    with pytest.raises(SourceError, match="type bytes"):
        write_cursor(b"\x00")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, None, 3], [1, None, 3]),
        ([2**70, 1], [2**70, 1]),
        ([10**60, 1], [str(10**60), "1"]),
        ([1, "a", 2.5], ["1", "a", "2.5"]),
        ([{"a": [1]}, None], ['{"a": [1]}', None]),
        ([UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
        ([Decimal("1.50"), None], [Decimal("1.50"), None]),
        ([True, 1], ["true", "1"]),
        ([None, None], [None, None]),
    ],
)
def test_fetched_values_become_columns(values: list[object], expected: list[object]) -> None:
    assert to_series("c", values).to_list() == expected


def test_times_of_other_zones_are_the_same_moments() -> None:
    zone = timezone(timedelta(hours=2))
    series = to_series("t", [datetime(2013, 1, 1, 2, tzinfo=zone), datetime(2013, 1, 1, tzinfo=UTC)])
    assert series.dt.convert_time_zone("UTC").to_list() == [datetime(2013, 1, 1, tzinfo=UTC)] * 2


def test_progress_is_the_cursor(sql: SqlPlace) -> None:
    sql.add([record(i) for i in range(3)])
    source = sql.source()
    (piece,) = source.plan({"query": Progress(rows=2, mark='["int", "2"]')}, LATER, 10)
    assert (piece.start, piece.stop, piece.after, piece.mark) == (2, 3, '["int", "2"]', '["int", "3"]')
    assert source.read([piece], [JsonPath("$.seq")]).values["$.seq"].equals(pl.Series("$.seq", [3]))
