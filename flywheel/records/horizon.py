"""Times that lie too far ahead: such a record would be the newest for ever, and the whole hold-out of a training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.records.masks import nowhere


@dataclass(frozen=True)
class Horizon:
    """How far after the time at which records are read one may say that it happens.

    >>> from datetime import UTC
    >>> print(Horizon(datetime(2013, 2, 1, tzinfo=UTC), timedelta(days=1)))
    more than 1 day (batch.max_ahead) after it was read at 2013-02-01T00:00:00Z
    """

    as_of: datetime
    max_ahead: timedelta

    def is_beyond(self, times: pl.Series) -> pl.Series:
        """Return which times are too far ahead; none where the calendar ends before that."""
        try:
            last = self.as_of + self.max_ahead
        except OverflowError:
            return nowhere(len(times))
        latest = times.max()
        is_any = isinstance(latest, datetime) and latest > last
        return (times > last).fill_null(False) if is_any else nowhere(len(times))

    def __str__(self) -> str:
        far = str(self.max_ahead).removesuffix(", 0:00:00")
        return f"more than {far} (batch.max_ahead) after it was read at {self.as_of:%Y-%m-%dT%H:%M:%SZ}"
