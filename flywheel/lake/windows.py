"""Stretches of time, and the files of a table that may hold something of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

Moments = npt.NDArray[np.int64]

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICROSECOND
# Stretches are merged when there are more: a hostile event for each day of history costs that history, no more.
_MOST = 1_000


@dataclass(frozen=True)
class Windows:
    """Stretches of time that do not overlap, oldest first.

    Attributes
    ----------
    starts, ends
        Microseconds since 1970, shape (n,); a stretch has its start and not its end.
    """

    starts: Moments
    ends: Moments

    @classmethod
    def around(cls, times: pl.Series, before: timedelta) -> Windows:
        """Return what is at most ``before`` older than one of ``times``, or up to the end of the day after it.

        >>> from datetime import UTC, datetime
        >>> times = pl.Series([datetime(2013, 1, 9, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC)])
        >>> windows = Windows.around(times, timedelta(hours=24))
        >>> len(windows.starts), int(windows.ends[0] - windows.starts[0]) / 3.6e9
        (2, 72.0)
        """
        moments = times.drop_nulls().cast(pl.Datetime("us", "UTC")).to_physical().alias("moment").to_frame()
        # Each stretch lasts into the next day, so those of one day are one.
        days = moments.group_by(day=pl.col("moment") // _DAY).agg(first=pl.col("moment").min()).sort("day")
        starts = days["first"].to_numpy() - before // _MICROSECOND
        ends = (days["day"].to_numpy() + 2) * _DAY
        gaps = starts[1:] - ends[:-1]
        least = int(np.sort(gaps)[-_MOST]) if gaps.size >= _MOST else 0
        apart = np.flatnonzero(gaps > max(least, 0))
        if not starts.size:
            return cls(starts, ends)
        return cls(starts[np.append(0, apart + 1)], ends[np.append(apart, starts.size - 1)])

    def contain(self, times: pl.Series) -> pl.Series:
        """Return for each time whether it is in one of the stretches."""
        moments = _microseconds(times)
        return pl.Series(self._reach(moments, moments), dtype=pl.Boolean)

    def touch(self, first: pl.Series, last: pl.Series) -> pl.Series:
        """Return for each pair whether anything from ``first`` to ``last`` is in one of the stretches."""
        return pl.Series(self._reach(_microseconds(first), _microseconds(last)), dtype=pl.Boolean)

    def _reach(self, first: Moments, last: Moments) -> npt.NDArray[np.bool_]:
        if not self.starts.size:
            return np.zeros(first.size, dtype=np.bool_)
        # The last stretch that begins by the end of the pair is the one that reaches furthest.
        place = np.searchsorted(self.starts, last, side="right") - 1
        reaches: npt.NDArray[np.bool_] = (place >= 0) & (self.ends[np.maximum(place, 0)] > first)
        return reaches


def _microseconds(times: pl.Series) -> Moments:
    found: Moments = times.cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()
    return found
