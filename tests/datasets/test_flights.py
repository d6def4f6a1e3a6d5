from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from flywheel.datasets.flights import flights, january, landings, write_flights


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    assert write_flights(folder, date(2013, 2, 1), date(2013, 2, 3)) == 2426
    return folder


def test_every_flight_has_one_readable_id() -> None:
    records = flights()
    assert records.height == 336_776
    assert records["flight_id"].n_unique() == records.height
    assert records["flight_id"][0] == "UA-1545-EWR-20130101T1015Z"


def test_records_come_by_scheduled_departure_in_utc() -> None:
    records = flights()
    assert records.equals(records.sort("timestamp", "flight_id"))
    # 05:15 in New York, in winter, is 10:15 UTC.
    assert records["timestamp"][0] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert records["schedule"].struct.field("departure")[0] == 5.25


def test_the_local_clock_follows_daylight_saving() -> None:
    clock = pl.col("timestamp").dt.convert_time_zone("America/New_York")
    local = flights().select(
        hour=clock.dt.hour() + clock.dt.minute() / 60, departure=pl.col("schedule").struct.field("departure")
    )
    assert local.filter((pl.col("hour") - pl.col("departure")).abs() > 0.001).is_empty()


def test_weather_is_that_of_the_origin_at_the_hour() -> None:
    first = flights().head(1).unnest("weather").row(0, named=True)
    assert (first["temp"], first["humid"], first["wind_dir"], first["pressure"]) == (39.02, 64.43, 260.0, 1011.9)


def test_a_landing_comes_after_the_scheduled_departure_and_is_heard_of_later() -> None:
    joined = landings().join(flights().select("flight_id", departed="timestamp"), on="flight_id", validate="1:1")
    assert joined.height == 327_346
    assert joined.filter(pl.col("timestamp") <= pl.col("departed")).is_empty()
    assert joined.filter(pl.col("received_at") <= pl.col("timestamp")).is_empty()


def test_late_flights_labels_come_later() -> None:
    joined = landings().join(flights().select("flight_id", departed="timestamp"), on="flight_id")
    waited = joined.group_by(pl.col("arrival").struct.field("minutes_late") > 30).agg(
        (pl.col("received_at") - pl.col("departed")).median()
    )
    by_late = dict(waited.sort("minutes_late").iter_rows())
    assert by_late[True] > by_late[False]


def test_january_is_labelled_and_has_only_flights_that_landed() -> None:
    history = january()
    assert history["timestamp"].max() < datetime(2013, 2, 1, tzinfo=UTC)
    counted = dict(history["outcome"].value_counts().iter_rows())
    assert counted == {"late": 3668, "on_time": 22600}
    assert history.select("flight_id").join(landings(), on="flight_id", how="anti").is_empty()


def test_one_file_a_day_of_departures(written: Path) -> None:
    assert sorted(path.name for path in (written / "flights").iterdir()) == [
        "2013-02-01.parquet",
        "2013-02-02.parquet",
        "2013-02-03.parquet",
    ]
    day = pl.read_parquet(written / "flights" / "2013-02-02.parquet")
    assert day["timestamp"].dt.date().unique().to_list() == [date(2013, 2, 2)]
    assert day["timestamp"].is_sorted()


def test_one_file_a_day_of_arriving_news(written: Path) -> None:
    names = sorted(path.name for path in (written / "landings").iterdir())
    assert names[0] == "2013-02-01.parquet"
    assert names[-1] == "2013-02-04.parquet"  # the last evening's flights land on the next day
    events = pl.read_parquet(written / "landings" / "2013-02-03.parquet")
    assert events["received_at"].is_sorted()
    assert events["received_at"].dt.date().unique().to_list() == [date(2013, 2, 3)]


def test_every_landing_written_belongs_to_a_flight_written(written: Path) -> None:
    records = pl.read_parquet(written / "flights")
    events = pl.read_parquet(written / "landings")
    assert events.join(records, on="flight_id", how="anti").is_empty()


def test_the_same_bytes_every_time(written: Path, tmp_path: Path) -> None:
    write_flights(tmp_path, date(2013, 2, 1), date(2013, 2, 3))
    again = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    assert again == {path.relative_to(written): path.read_bytes() for path in written.rglob("*.parquet")}
    assert not list(tmp_path.rglob("*.tmp"))
