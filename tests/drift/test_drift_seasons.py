"""Seasons: a daily cycle is no drift, and drift is seen through it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.check import Findings, check_window
from flywheel.drift.measured import Measured
from flywheel.drift.picture import histogram_text
from flywheel.drift.profile import merge, profile
from flywheel.drift.seasons import Seasons, in_season, whole_counts
from flywheel.manifest.drift import DriftConfig, Seasonal

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MEASURED = [Measured("x", "numeric"), Measured("kind", "category")]
BY_HOUR = DriftConfig(seasonal="hour_of_day")
ALL: list[Seasonal] = ["hour_of_day", "day_of_week", "hour_of_week"]


def cycle(start: datetime, hours: int, seed: int, rate: int = 40, shift: float = 0.0) -> pl.DataFrame:
    """Rows of some hours, more by day, whose values follow the hour of the day."""
    rng = np.random.default_rng(seed)
    of_day = (start.hour + np.arange(hours)) % 24
    counts = rng.poisson(rate * (1.2 - np.cos(of_day / 12 * np.pi)))
    hour, phase = np.repeat(np.arange(hours), counts), np.repeat(of_day, counts) / 12 * np.pi
    times = [
        start + HOUR * int(each) + timedelta(minutes=int(m))
        for each, m in zip(hour, rng.integers(0, 60, hour.size), strict=True)
    ]
    return pl.DataFrame(
        {
            "event_time": pl.Series(times, dtype=pl.Datetime("us", "UTC")),
            "x": rng.normal(1.5 * np.sin(phase) + shift, 1),
            "kind": np.where(rng.random(hour.size) < 0.5 + 0.4 * np.cos(phase), "night", "day"),
        }
    )


@pytest.fixture(scope="module")
def january() -> Baseline:
    return fit_baseline(cycle(MONDAY, 24 * 14, seed=0), MEASURED, "january", seasonal="hour_of_day")


def check(baseline: Baseline, window: pl.DataFrame, config: DriftConfig = BY_HOUR, alpha: float = 1 / 30) -> Findings:
    return check_window(baseline, profile(window, baseline), window.height, config, alpha)


@pytest.mark.parametrize(
    ("time", "hour_of_day", "day_of_week", "hour_of_week"),
    [
        (MONDAY, "00:00", "Mon", "Mon 00:00"),
        (MONDAY - timedelta(microseconds=1), "23:00", "Sun", "Sun 23:00"),
        (MONDAY + 2 * DAY + 13.99 * HOUR, "13:00", "Wed", "Wed 13:00"),
        (datetime(1969, 12, 31, 5, tzinfo=UTC), "05:00", "Wed", "Wed 05:00"),
    ],
)
def test_the_season_of_a_time(time: datetime, hour_of_day: str, day_of_week: str, hour_of_week: str) -> None:
    rows = pl.DataFrame({"event_time": pl.Series([time, None], dtype=pl.Datetime("us", "UTC"))})
    for of, name in (("hour_of_day", hour_of_day), ("day_of_week", day_of_week), ("hour_of_week", hour_of_week)):
        seasons = Seasons(of=of)  # type: ignore[arg-type]
        place, none = seasons.places(rows).tolist()
        assert (seasons.names[place], none) == (name, -1)
        assert len(set(seasons.names)) == len(seasons.names)


# The reference of a window's seasons.


def test_a_mixed_reference_worked_by_hand() -> None:
    reference = np.array([[30, 10], [0, 60], [0, 0]])
    found = in_season(reference, np.array([[5, 5], [10, 20], [7, 0]]))
    # Shares 1/4 and 3/4: r = 1/4 (3/4, 1/4) + 3/4 (0, 1); worth 1 / (1/16 / 40 + 9/16 / 60) = 91.4 rows.
    assert found.reference.tolist() == [17, 74]
    assert found.window.tolist() == [15, 25]
    assert found.left_out.tolist() == [0, 0, 7]


counts = st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), min_size=3, max_size=3).map(np.array)


@settings(deadline=None)
@given(counts, st.integers(1, 5))
def test_a_window_with_the_references_own_mix_is_compared_with_all_of_it(reference: np.ndarray, times: int) -> None:
    found = in_season(reference, times * reference)
    assert found.reference.tolist() == reference.sum(axis=0).tolist()
    assert not found.left_out.any()


@settings(deadline=None)
@given(counts, counts)
def test_a_mixed_reference_is_worth_no_more_than_the_whole(reference: np.ndarray, window: np.ndarray) -> None:
    found = in_season(reference, window)
    assert 0 <= found.reference.sum() <= reference.sum()
    assert found.reference.min() >= 0
    assert found.window.sum() + found.left_out.sum() == window.sum()


@given(st.lists(st.integers(0, 99), min_size=1, max_size=9).filter(any), st.integers(0, 10_000))
def test_whole_counts_add_up_and_are_off_by_less_than_one(parts: list[int], rows: int) -> None:
    shares = np.array(parts) / sum(parts)
    found = whole_counts(shares, rows)
    assert found.sum() == rows
    assert np.abs(found - shares * rows).max() < 1 + 1e-6


# What a check finds.


def test_without_seasons_the_cycle_is_drift_and_with_them_it_is_not(january: Baseline) -> None:
    starts = [MONDAY + 14 * DAY + 5 * HOUR * k for k in range(40)]
    windows = [cycle(start, 4, seed=100 + k, rate=200) for k, start in enumerate(starts)]
    plain = [check(january, window, DriftConfig()).outcome for window in windows]
    seasonal = [check(january, window, alpha=0.1).outcome for window in windows]
    assert plain.count("drift") >= 36
    assert seasonal.count("drift") <= 4 + 3 * 2
    assert set(seasonal) <= {"drift", "no_drift"}


@pytest.mark.parametrize("hour", [0, 6, 12, 18])
def test_a_shift_within_the_cycle_is_found(january: Baseline, hour: int) -> None:
    start = MONDAY + 15 * DAY + hour * HOUR
    findings = check(january, cycle(start, 6, seed=hour, shift=1.0))
    assert (findings.outcome, findings.features[0].title) == ("drift", "x")
    assert findings.features[0].seasonal
    assert findings.features[0].size > 0.15
    assert "features drifted; most: values of x, p = " in findings.reason


def test_values_of_another_season_are_drift(january: Baseline) -> None:
    """The values of the morning in the evening: as a whole day nothing would show."""
    noon = cycle(MONDAY + 14 * DAY + 4 * HOUR, 4, seed=1)
    moved = noon.with_columns(pl.col("event_time") + 12 * HOUR)
    assert check(january, noon).outcome == "no_drift"
    assert check(january, moved).outcome == "drift"


@pytest.mark.parametrize("seasonal", ALL)
def test_every_kind_of_season(seasonal: Seasonal) -> None:
    baseline = fit_baseline(cycle(MONDAY, 24 * 14, seed=0), MEASURED, "b", seasonal=seasonal)
    config = DriftConfig(seasonal=seasonal)
    assert Baseline.from_json(baseline.to_json()) == baseline
    week = cycle(MONDAY + 14 * DAY, 24 * 7, seed=1)
    assert check(baseline, week, config).outcome == "no_drift"
    assert check(baseline, week.with_columns(pl.col("x") + 0.3), config).outcome == "drift"


def test_seasons_that_the_reference_lacks_are_left_out_and_named() -> None:
    weekdays = fit_baseline(cycle(MONDAY, 24 * 5, seed=0), MEASURED, "b", seasonal="day_of_week")
    config = DriftConfig(seasonal="day_of_week")
    window = cycle(MONDAY + 11 * DAY, 24 * 3, seed=1)
    weekend = int((window["event_time"].dt.weekday() >= 6).sum())
    odd = window.with_columns(x=pl.when(pl.col("event_time").dt.weekday() >= 6).then(99.0).otherwise("x"))
    findings = check(weekdays, odd, config)
    assert findings.outcome == "no_drift"
    assert findings.reason.endswith(f"; {weekend:,} rows left out: the reference has none of Sat, Sun")
    only = window.filter(pl.col("event_time").dt.weekday() >= 6)
    findings = check(weekdays, only, config)
    assert findings.outcome == "not_enough_data"
    assert findings.reason.startswith(f"0 rows in the window; a check needs 100; {only.height:,} rows left out: ")


def test_a_season_with_few_rows_of_the_reference_is_not_enough_data() -> None:
    reference = pl.concat([cycle(MONDAY, 24, seed=0), cycle(MONDAY + DAY, 24, seed=1, rate=1)])
    baseline = fit_baseline(reference, MEASURED, "b", seasonal="day_of_week")
    findings = check(baseline, cycle(MONDAY + 8 * DAY, 24, seed=2), DriftConfig(seasonal="day_of_week"))
    assert findings.outcome == "not_enough_data"
    assert "rows in baseline b; a check needs 100" in findings.reason


def test_a_baseline_that_is_not_kept_by_season_is_told(january: Baseline) -> None:
    window = cycle(MONDAY + 14 * DAY, 24, seed=1)
    findings = check(january, window, DriftConfig(seasonal="hour_of_week"))
    told = "; compared with all seasons: baseline january is not kept by hour_of_week, the next retrain's will be"
    assert findings.reason.endswith(told)
    assert not findings.features[0].seasonal
    assert check(january, window, DriftConfig()).outcome == check(january, window, BY_HOUR).outcome == "no_drift"


def test_seasons_of_merged_profiles_are_a_scan(january: Baseline) -> None:
    window = cycle(MONDAY + 14 * DAY + 5 * HOUR, 6, seed=1)
    parts = [profile(window.slice(start, 97), january) for start in range(0, window.height, 97)]
    merged = merge(parts)
    assert check_window(january, merged, window.height, BY_HOUR) == check(january, window)
    whole = merged.filter(pl.col("slice").is_null(), pl.col("count") > 0).drop("slice")
    seasons = merged.filter(pl.col("slice").is_not_null()).group_by("feature", "bin").agg(pl.col("count").sum())
    assert seasons.sort("feature", "bin").rows() == whole.sort("feature", "bin").rows()


def test_the_histogram_is_beside_the_same_seasons(january: Baseline) -> None:
    window = cycle(MONDAY + 14 * DAY + 4 * HOUR, 4, seed=1)
    finding = next(each for each in check(january, window).features if each.feature == "kind")
    drawn = histogram_text(january, profile(window, january), [finding])
    assert f"(psi {finding.measures['psi']:.3f})" in drawn
    assert finding.measures["psi"] is not None
    assert finding.measures["psi"] < 0.1
