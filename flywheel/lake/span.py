"""The first and the last time of some rows."""

from __future__ import annotations

from datetime import datetime

import polars as pl


def time_span(rows: pl.DataFrame, column: str = "event_time") -> tuple[datetime, datetime] | None:
    """Return the earliest and the latest time in a column, None where there is none."""
    first, last = rows[column].min(), rows[column].max()
    if isinstance(first, datetime) and isinstance(last, datetime):
        return first, last
    return None
