"""Spans of time: of some rows, and what is around them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl


def time_span(rows: pl.DataFrame, column: str = "event_time") -> tuple[datetime, datetime] | None:
    """Return the earliest and the latest time in a column, None where there is none."""
    first, last = rows[column].min(), rows[column].max()
    if isinstance(first, datetime) and isinstance(last, datetime):
        return first, last
    return None


def before(moment: datetime, span: timedelta) -> datetime:
    """Return ``moment - span``, or the first moment there is where that lies before it.

    >>> before(datetime(1, 1, 2, tzinfo=UTC), timedelta(days=7)).date()
    datetime.date(1, 1, 1)
    """
    first = datetime.min.replace(tzinfo=UTC)
    return moment - span if moment.astimezone(UTC) - first >= span else first


def day_after(moment: datetime) -> date:
    """Return the day after that of ``moment``, or the last day there is."""
    day = moment.date()
    return day + timedelta(days=1) if day < date.max else day
