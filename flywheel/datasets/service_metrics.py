"""Generated service metrics with incidents: cpu and error rate a minute, and what on-call people said of them.

Every service has a daily rhythm. An incident raises its cpu and its error rate for ten minutes to three hours; once it
is over somebody links its records to it (``incident_created``). Short spikes that mean nothing, and a few ordinary
records, are dismissed (``alert_dismissed``). A drift is a slow rise of everybody's cpu. One seed, one set of bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from flywheel.datasets.bad_records import spoil
from flywheel.datasets.files import by_day, write_lines
from flywheel.datasets.signals import MINUTES_A_DAY, SERVICES, Drift, Signals, make_signals

_DISMISSED_ORDINARY_SHARE = 0.02


@dataclass(frozen=True)
class ServiceMetrics:
    """Records and feedback events, both as nested frames in the order they became known."""

    records: pl.DataFrame
    events: pl.DataFrame


def service_metrics(start: datetime, days: int, seed: int = 0, drift: Drift | None = None) -> ServiceMetrics:
    """Generate ``days`` days of one record a minute for each of eight services, from ``start`` (UTC) on.

    Records: ``timestamp``, ``metadata`` {trace_id}, ``service``, ``metrics`` {cpu {usage_percent: 0 to 100}, http
    {error_rate: 0 to 1}}. Events: ``event``, ``metadata`` {trace_id}, ``timestamp``, ``received_at``.

    >>> made = service_metrics(datetime(2026, 1, 1, tzinfo=UTC), days=1)
    >>> made.records.height, made.records["metadata"].struct.field("trace_id")[0]
    (11520, '20260101T0000-auth')
    """
    random = np.random.default_rng(seed)
    signals = make_signals(random, days * MINUTES_A_DAY, drift)
    frame = _frame(start, signals)
    return ServiceMetrics(records=_records(frame), events=_events(frame, start, random))


def write_service_metrics(
    folder: Path,
    days: int,
    seed: int = 0,
    *,
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    history_days: int = 7,
    drift: Drift | None = None,
    bad_records: int = 0,
) -> int:
    """Write NDJSON, one file a day: ``folder/metrics``, ``folder/incidents`` (by arrival) and ``folder/history``.

    Parameters
    ----------
    history_days
        Days before ``start``, without drift, for the first model's training.
    bad_records
        How many records of ``folder/metrics`` are spoiled: see ``bad_records``.

    Returns
    -------
    int
        How many records were written to ``folder/metrics``.
    """
    later = replace(drift, from_day=drift.from_day + history_days) if drift else None
    made = service_metrics(start - timedelta(days=history_days), history_days + days, seed, later)
    records = made.records.filter(pl.col("timestamp") >= start)
    events = made.events.join(records.select("metadata"), on="metadata", how="semi", maintain_order="left")
    for number, (day, rows) in enumerate(by_day(records, "timestamp")):
        count = bad_records // days + (number < bad_records % days)
        write_lines(spoil(to_lines(rows), count, seed + number), folder / "metrics" / f"{day}.ndjson")
    for day, rows in by_day(events, "received_at"):
        write_lines(to_lines(rows), folder / "incidents" / f"{day}.ndjson")
    for day, rows in by_day(made.records.filter(pl.col("timestamp") < start), "timestamp"):
        write_lines(to_lines(rows), folder / "history" / f"{day}.ndjson")
    return records.height


def to_lines(rows: pl.DataFrame) -> list[str]:
    """Return each row as JSON text, times in ISO 8601."""
    times = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return rows.with_columns(times).write_ndjson().splitlines()


def _frame(start: datetime, signals: Signals) -> pl.DataFrame:
    """One row a minute and service, in that order."""
    minutes, services = signals.cpu.shape
    flat = pl.DataFrame(
        {
            "minute": np.repeat(np.arange(minutes), services),
            "service": list(SERVICES) * minutes,
            "cpu": signals.cpu.ravel().round(2),
            "errors": signals.errors.ravel().round(5),
            "incident_end": signals.incident_end.ravel(),
            "spike": signals.spike.ravel(),
        }
    )
    timed = flat.with_columns(timestamp=_instant(start, pl.col("minute")))
    clock = pl.col("timestamp").dt.strftime("%Y%m%dT%H%M")
    return timed.with_columns(trace_id=pl.concat_str(clock, "service", separator="-"))


def _records(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        "timestamp",
        pl.struct("trace_id").alias("metadata"),
        "service",
        pl.struct(
            pl.struct(usage_percent="cpu").alias("cpu"),
            pl.struct(error_rate="errors").alias("http"),
        ).alias("metrics"),
    )


def _events(frame: pl.DataFrame, start: datetime, random: np.random.Generator) -> pl.DataFrame:
    """Incident records are linked once it is over; spikes and some ordinary records are dismissed within two hours."""
    ordinary = pl.Series(random.random(frame.height) < _DISMISSED_ORDINARY_SHARE)
    waiting = pl.Series(random.integers(2, 120, frame.height))
    in_incident = pl.col("incident_end") >= 0
    noticed = pl.when(in_incident).then("incident_end").otherwise("minute")
    return (
        frame.with_columns(waiting.alias("waiting"))
        .filter(in_incident | pl.col("spike") | ordinary)
        .select(
            pl.when(in_incident).then(pl.lit("incident_created")).otherwise(pl.lit("alert_dismissed")).alias("event"),
            pl.struct("trace_id").alias("metadata"),
            _instant(start, noticed).alias("timestamp"),
            _instant(start, noticed + pl.col("waiting")).alias("received_at"),
        )
        .sort("received_at", pl.col("metadata").struct.field("trace_id"))
    )


def _instant(start: datetime, minutes: pl.Expr) -> pl.Expr:
    return pl.lit(start).dt.cast_time_unit("us") + pl.duration(minutes=minutes)
