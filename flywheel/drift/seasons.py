"""Seasons: the hours of a day or of a week, the days of a week; and a reference with the same ones as a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from flywheel.drift.bins import Floats
from flywheel.drift.counting import Buckets, Counts
from flywheel.manifest.drift import Seasonal

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_HOURS = tuple(f"{hour:02}:00" for hour in range(24))
_NONE = -1
# What is a whole number of rows but for the rounding of the sum is one.
_ROUNDING = 1e-6


class Seasons(BaseModel):
    """The rows of each season, by their event time in UTC; a week begins on Monday."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["season"] = "season"
    of: Seasonal

    @property
    def names(self) -> list[str]:
        """What the seasons are called, in reports and in the profiles table."""
        if self.of == "hour_of_day":
            return list(_HOURS)
        if self.of == "day_of_week":
            return list(_DAYS)
        return [f"{day} {hour}" for day in _DAYS for hour in _HOURS]

    def places(self, rows: pl.DataFrame) -> Buckets:
        """The season of each row, as a position in ``names``; -1 for a row without an event time."""
        time = pl.col("event_time").dt
        hour, day = time.hour().cast(pl.Int64), time.weekday().cast(pl.Int64) - 1
        place = {"hour_of_day": hour, "day_of_week": day, "hour_of_week": day * 24 + hour}[self.of]
        return rows.select(place.fill_null(_NONE)).to_series().to_numpy()

    def asks(self, feature: str) -> bool:
        """Whether a feature is compared within the seasons: every one is."""
        return True


@dataclass(frozen=True, slots=True)
class InSeason:
    """A window's counts, and those to expect of a reference with the same seasons in the same shares.

    ``left_out`` are the window's rows of each season that the reference has nothing of.
    """

    reference: Counts
    window: Counts
    left_out: Counts


def in_season(reference: Counts, window: Counts) -> InSeason:
    """Mix the reference's seasons as the window has them; both are counts of one feature (season, bucket).

    With w_s the window's share of season s, n_s the reference's rows of it and p_s their shares by bucket, the mixed
    reference has the shares Σ w_s p_s. It is worth 1 / Σ (w_s² / n_s) rows, and counted as so many.

    References
    ----------
    L. Kish, Survey sampling, 1965 (the effective number of rows of a weighted sample).
    """
    rows = reference.sum(axis=1)
    known = rows > 0
    kept = window * known[:, None]
    seasons = kept.sum(axis=1)
    used = seasons > 0
    left_out = window.sum(axis=1) * ~known
    if not used.any():
        return InSeason(np.zeros_like(reference[0]), kept.sum(axis=0), left_out)
    weights = seasons[used] / seasons.sum()
    shares = weights @ (reference[used] / rows[used, None])
    effective = int(1 / float(np.sum(weights**2 / rows[used])) + _ROUNDING)
    return InSeason(whole_counts(shares, effective), kept.sum(axis=0), left_out)


def whole_counts(shares: Floats, rows: int) -> Counts:
    """Whole numbers in these shares that add up to ``rows``: rounded down, the largest remainders up.

    >>> whole_counts(np.array([0.5, 0.3, 0.2]), 7).tolist()
    [4, 2, 1]
    """
    exact = shares * (rows / shares.sum())
    counts: Counts = np.floor(exact).astype(np.int64)
    largest = np.argsort(counts - exact, kind="stable")[: rows - int(counts.sum())]
    counts[largest] += 1
    return counts
