"""Slices and seasons without drift and with it: how often a check alarms, and whether it names the right one.

    .venv/bin/python tests/bench/drift/drift_parts.py

Raw rows are drawn, profiled and checked as in production, some windows against each of many references.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import polars as pl

from flywheel.drift.baseline import fit_baseline
from flywheel.drift.compared import compare
from flywheel.drift.family import weigh
from flywheel.drift.measured import Measured
from flywheel.drift.profile import profile
from flywheel.manifest.drift import DriftConfig, Seasonal

ALPHA = 1 / 30
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
SHARES = np.array([0.2, 0.15, 0.13, 0.11, 0.1, 0.09, 0.07, 0.06, 0.05, 0.04])
SEASONS: tuple[Seasonal | None, ...] = (None, "hour_of_day", "hour_of_week")
SMALL = 8  # the slice of 5% of the rows
SLICED, WHOLE = DriftConfig(slices=["group"]), DriftConfig()
MIXED = ("normal", "by group", "integers", "mostly zero", "category", "missing", "skewed", "ties", "codes", "flag")


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check came to: its smallest adjusted p-value, and the slice that it is of (None: the whole)."""

    p_value: float
    slice: str | None

    @property
    def is_alarm(self) -> bool:
        return self.p_value <= ALPHA


def grouped_rows(rng: np.random.Generator, rows: int, shift: float = 0.0) -> pl.DataFrame:
    """Ten features of many kinds, some of them other in each of ten groups; ``shift`` moves one in the group of 5%."""
    group = rng.choice(SHARES.size, rows, p=SHARES)
    normal = rng.normal(size=(3, rows))
    missing = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(group / 5, 1))
    return pl.DataFrame(
        {
            "group": [f"g{k}" for k in group],
            "normal": normal[0] + shift * (group == SMALL),
            "by group": normal[1] + group / 3,
            "integers": rng.poisson(5 + group).astype(float),
            "mostly zero": np.where(rng.random(rows) < 0.7, 0.0, rng.exponential(size=rows)),
            "category": rng.choice(["a", "b", "c"], rows, p=[0.7, 0.25, 0.05]),
            "missing": missing,
            "skewed": rng.lognormal(size=rows),
            "ties": np.round(normal[2], 1),
            "codes": [f"k{min(k, 300)}" for k in rng.zipf(1.6, rows)],
            "flag": rng.random(rows) < 0.02,
        }
    ).with_columns(pl.col("flag").cast(pl.Float64))


def sliced_checks(
    seed: int, streams: int, checks: int, reference: int, window: int, shift: float = 0.0, config: DriftConfig = SLICED
) -> Iterator[Checked]:
    """Checks of ten features, in ten slices of five to twenty percent of the rows or without."""
    measured = [Measured(name, "category" if name in ("category", "codes") else "numeric") for name in MIXED]
    for stream in range(streams):
        rng = np.random.default_rng([seed, stream])
        baseline = fit_baseline(grouped_rows(rng, reference), measured, "b", slices=[Measured("group", "category")])
        for _ in range(checks):
            counts = profile(grouped_rows(rng, window, shift), baseline)
            compared = compare(baseline, counts, window, config)
            family = weigh(compared, {}, ())
            found = [each.adjusted_p for each in [*family.whole, *family.slices]]
            place = int(np.argmin([2.0 if p is None else p for p in found]))
            subjects = [*compared.whole, *compared.slices]
            yield Checked(family.smallest, subjects[place].slice)


def seasonal_rows(
    rng: np.random.Generator, start: datetime, hours: int, rate: float, cycle: float, shift: float = 0.0
) -> pl.DataFrame:
    """Rows of consecutive hours, more by day than by night, whose mean follows the hour with this amplitude."""
    of_day = (start.hour + np.arange(hours)) % 24
    counts = rng.poisson(rate * (1.2 - np.cos(of_day / 24 * 2 * np.pi)))
    hour = np.repeat(np.arange(hours), counts)
    mean = cycle * np.sin(np.repeat(of_day, counts) / 24 * 2 * np.pi) + shift
    evening = np.repeat((of_day >= 18).astype(float), counts)
    times = start + pl.Series(hour * 3600 + rng.integers(0, 3600, hour.size)) * timedelta(seconds=1)
    size = hour.size
    return pl.DataFrame(
        {
            "event_time": times.cast(pl.Datetime("us", "UTC")),
            "value": rng.normal(mean, 1),
            "load": rng.gamma(4, np.exp(mean / 4)),
            "kind": np.where(rng.random(size) < 0.2 + 0.5 * evening, "leisure", "work"),
            "still": rng.normal(size=size),
        }
    )


def seasonal_checks(
    seed: int, streams: int, checks: int, days: int, rate: float, seasonal: Seasonal | None, shift: float = 0.0
) -> Iterator[Checked]:
    """Checks of windows of six hours, at any hour, against ``days`` days."""
    names = {"value": "numeric", "load": "numeric", "kind": "category", "still": "numeric"}
    measured = [Measured(name, kind) for name, kind in names.items()]  # type: ignore[arg-type]
    config = DriftConfig(seasonal=seasonal)
    for stream in range(streams):
        rng = np.random.default_rng([seed, stream])
        reference = seasonal_rows(rng, MONDAY, days * 24, rate, 1.0)
        baseline = fit_baseline(reference, measured, "b", seasonal=seasonal)
        for _ in range(checks):
            start = MONDAY + timedelta(days=days, hours=int(rng.integers(0, 24 * 14)))
            rows = seasonal_rows(rng, start, 6, rate, 1.0, shift)
            compared = compare(baseline, profile(rows, baseline), rows.height, config)
            yield Checked(weigh(compared, {}, ()).smallest, None)


def _told(name: str, checks: Callable[[], Iterator[Checked]], right: str | None = None) -> None:
    found = list(checks())
    rate = float(np.mean([each.is_alarm for each in found]))
    margin = 1.96 * float(np.sqrt(max(rate * (1 - rate), ALPHA * (1 - ALPHA)) / len(found)))
    whole = sum(each.is_alarm and each.slice is None for each in found)
    named = sum(each.is_alarm and each.slice == right for each in found) if right else 0
    print(
        f"{name:60} {len(found):6,} checks  alarms {rate:.4f} ± {margin:.4f}  whole {whole}  named right {named}",
        flush=True,
    )


def main() -> None:
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--checks", type=int, default=50)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    size = {"streams": given.streams, "checks": given.checks}
    few = {"streams": max(given.streams // 5, 1), "checks": max(given.checks // 5, 1)}
    cases: dict[str, tuple[Callable[[], Iterator[Checked]], str | None]] = {}
    for reference, window in ((20_000, 2_000), (5_000, 1_000)):
        still = partial(sliced_checks, 1, **size, reference=reference, window=window)
        cases[f"slices: {reference:,} × {window:,}, no drift"] = still, None
    for shift in (0.3, 0.5, 0.8):
        for window in (2_000, 10_000):
            shifted = partial(sliced_checks, 3, **few, reference=20_000, window=window, shift=shift)
            cases[f"slices: {shift} sigma in 5% of {window:,} rows"] = shifted, f"group = g{SMALL}"
            cases[f"no slices: {shift} sigma in 5% of {window:,} rows"] = partial(shifted, config=WHOLE), None
    for days, rate in ((28, 30.0), (10, 30.0), (28, 4.0)):
        for seasonal in SEASONS:
            still = partial(seasonal_checks, 4, **size, days=days, rate=rate, seasonal=seasonal)
            cases[f"seasons: {seasonal}, {days} days of {rate * 1.2:.0f} rows an hour, no drift"] = still, None
    for shift in (0.2, 0.5, 1.0):
        for seasonal in SEASONS[1:]:
            moved = partial(seasonal_checks, 5, **few, days=28, rate=30.0, seasonal=seasonal, shift=shift)
            cases[f"seasons: {seasonal}, 28 days of 36 rows an hour, {shift} sigma"] = moved, None
    for name, (checks, right) in cases.items():
        if given.only in name:
            _told(name, checks, right)


if __name__ == "__main__":
    main()
