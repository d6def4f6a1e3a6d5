"""What the log says of files lets nobody miss a row, whoever wrote them and whether they were compacted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.lake.contents import file_contents
from flywheel.lake.storage import Location, StorageMap
from flywheel.lake.tables import LakeTable
from flywheel.lake.windows import Windows
from flywheel.maintenance.compact import compact_table

START = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCHEMA = pl.Schema({"event_time": pl.Datetime("us", "UTC"), "batch_id": pl.Int64(), "date": pl.Date()})


def rows_of(batch: int) -> pl.DataFrame:
    """Five rows of half an hour, at odd microseconds."""
    times = [START + batch * HOUR + timedelta(minutes=6 * index, microseconds=999_999) for index in range(5)]
    frame = pl.DataFrame({"event_time": times, "batch_id": batch}, schema_overrides=dict(SCHEMA))
    return frame.with_columns(date=pl.col("event_time").dt.date())


@pytest.mark.parametrize("writer", ["ours", "delta-rs", "compacted"])
def test_every_row_lies_within_what_is_said_of_its_file(tmp_path: Path, writer: str) -> None:
    table = LakeTable(Location(str(tmp_path / "t")), SCHEMA)
    for batch in range(60):
        if writer == "delta-rs":
            rows = rows_of(batch).to_arrow()
            write_deltalake(table.location.uri, rows, mode="append", partition_by=["date"])
        else:
            table.append_once(rows_of(batch), "p", batch)
    if writer == "compacted":
        compact_table(StorageMap(base=tmp_path), table.location)
    contents = file_contents(table)
    assert contents.height == (3 if writer == "compacted" else 60)
    for uri, date, first, last, first_batch, last_batch in contents.iter_rows():
        found = table.read([uri])
        assert set(found["date"]) == {date}
        assert found["event_time"].is_between(first, last).all()
        assert found["batch_id"].is_between(first_batch, last_batch).all()
    # Narrow enough to be of use: no file of one batch claims the hour before or after it.
    if writer != "compacted":
        assert ((contents["last_event"] - contents["first_event"]) < HOUR).all()


hours = st.integers(-500, 500).map(lambda hour: START + hour * HOUR)


@settings(deadline=None, max_examples=60)
@given(st.lists(hours, max_size=8), st.integers(0, 72), st.lists(hours, min_size=1, max_size=10))
def test_windows_hold_what_lies_around_one_of_the_times(
    times: list[datetime], before: int, asked: list[datetime]
) -> None:
    windows = Windows.around(pl.Series(times, dtype=SCHEMA["event_time"]), before * HOUR)
    days = [(time, datetime(time.year, time.month, time.day, tzinfo=UTC)) for time in times]
    expected = [any(time - before * HOUR <= each < day + 48 * HOUR for time, day in days) for each in asked]
    assert windows.contain(pl.Series(asked, dtype=SCHEMA["event_time"])).to_list() == expected
