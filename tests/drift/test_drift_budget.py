"""What others get wrong, each with its figures, and the budget of false alarms that we keep instead."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.bins import Floats
from flywheel.drift.check import Findings, check_window
from flywheel.drift.evidence.budget import level
from flywheel.drift.measured import Measured
from flywheel.drift.profile import merge, profile
from flywheel.manifest.drift import DriftConfig
from flywheel.manifest.false_alarms import FalseAlarms

DAY = timedelta(days=1)
BUDGET = DriftConfig()
PLAIN = DriftConfig(thresholds={"psi": 0.1}, min_rows=50)


def normal(rows: int, mean: float = 0, seed: int = 0, std: float = 1) -> Floats:
    return np.random.default_rng(seed).normal(mean, std, rows)


def frame(rows: int, features: int, seed: int) -> pl.DataFrame:
    values = np.random.default_rng(seed).normal(size=(features, rows))
    return pl.DataFrame({f"x{k}": values[k] for k in range(features)})


def baseline_of(rows: pl.DataFrame) -> Baseline:
    kinds = {name: "numeric" if dtype.is_numeric() else "category" for name, dtype in rows.schema.items()}
    return fit_baseline(rows, [Measured(name, kind) for name, kind in kinds.items()], "b")  # type: ignore[arg-type]


def check(reference: Floats, window: Floats, config: DriftConfig = BUDGET, alpha: float = 1 / 30) -> Findings:
    baseline = baseline_of(pl.DataFrame({"x": reference}))
    return check_window(baseline, profile(pl.DataFrame({"x": window}), baseline), len(window), config, alpha)


# 1. Bins from the current sample: a shift shows PSI about 0.


def psi_with_bins_of_the_window(reference: Floats, window: Floats) -> float:
    edges = np.quantile(window, np.arange(1, 10) / 10)
    moved = window - window.mean() + reference.mean()  # what such a tool compares in the end
    r, w = (
        np.bincount(np.searchsorted(edges, side), minlength=10) / side.size for side in (window, moved + window.mean())
    )
    return float(np.sum((w - r) * np.log(w / r)))


@pytest.mark.parametrize("mean", [0.5, 5])
def test_a_shift_is_seen_because_bins_come_from_the_reference(mean: float) -> None:
    reference, window = normal(10_000), normal(1000, mean, seed=1)
    assert psi_with_bins_of_the_window(reference, window) < 0.01
    findings = check(reference, window)
    assert findings.outcome == "drift"
    assert findings.features[0].size > 0.15


# 2. Bins over both: one outlier hides a shift by a standard deviation.


def psi_with_bins_over_both(reference: Floats, window: Floats) -> float:
    edges = np.histogram_bin_edges(np.concatenate((reference, window)), 10)
    r, w = (np.maximum(np.histogram(side, edges)[0] / side.size, 1e-4) for side in (reference, window))
    return float(np.sum((w - r) * np.log(w / r)))


def test_an_outlier_hides_nothing() -> None:
    reference, window = normal(10_000), normal(10_000, 1, seed=1)
    assert psi_with_bins_over_both(reference, window) > 0.8
    assert psi_with_bins_over_both(reference, np.append(window, 1e4)) < 0.02
    clean = check(reference, window).features[0]
    for spoilt in (check(reference, np.append(window, 1e4)), check(np.append(reference, 1e4), window)):
        found = spoilt.features[0]
        for measure in ("psi", "kl_divergence", "js_divergence", "hellinger", "total_variation", "ks", "wasserstein"):
            assert found.measures[measure] == pytest.approx(clean.measures[measure], rel=0.01)
        assert found.significant


# 3. Thresholds that do not know the number of rows.


def test_thresholds_alone_fire_on_small_windows_and_the_budget_does_not() -> None:
    baseline = baseline_of(pl.DataFrame({"x": normal(10_000)}))
    plain = {100: 0.0, 200: 0.0}
    fired = 0
    for rows in plain:
        windows = np.random.default_rng(rows).normal(size=(150, rows))
        found = [
            check_window(baseline, profile(pl.DataFrame({"x": window}), baseline), rows, PLAIN) for window in windows
        ]
        plain[rows] = float(np.mean([each.outcome == "drift" for each in found]))
        fired += sum(each.is_over_budget for each in found)
    assert plain[100] == pytest.approx(0.39, abs=0.14)
    assert plain[200] == pytest.approx(0.03, abs=0.04)
    assert fired <= 300 / 30 + 4 * np.sqrt(300 / 30)


def test_corrected_measures_are_about_zero_without_drift_and_raw_ones_are_not() -> None:
    baseline = baseline_of(pl.DataFrame({"x": normal(10_000)}))
    windows = np.random.default_rng(1).normal(size=(100, 200))
    found = [
        check_window(baseline, profile(pl.DataFrame({"x": window}), baseline), 200, BUDGET).features[0]
        for window in windows
    ]
    expected = 9 * (1 / 10_000 + 1 / 200)
    assert np.mean([each.measures["psi"] for each in found]) == pytest.approx(expected, rel=0.15)
    for measure in found[0].corrected:
        if found[0].measures[measure] is None or measure == "missing_rate":
            continue
        raw = np.array([each.measures[measure] for each in found], dtype=float)
        corrected = np.array([each.corrected[measure] for each in found], dtype=float)
        assert corrected.mean() < raw.mean() / 2
        assert (corrected <= raw).all()


# 4. Many features without a correction.


def test_twenty_features_share_one_budget() -> None:
    baseline = baseline_of(frame(5000, 20, seed=0))
    uncorrected, fired = 0, 0
    for seed in range(1, 101):
        found = check_window(baseline, profile(frame(300, 20, seed), baseline), 300, BUDGET, 0.05)
        uncorrected += any(p <= 0.05 for each in found.features for p in each.p_values.values())
        fired += found.outcome == "drift"
    assert uncorrected / 100 == pytest.approx(0.64, abs=0.16)
    assert 1 <= fired <= 5 + 4 * np.sqrt(5)


def test_few_of_the_named_features_are_false() -> None:
    baseline = baseline_of(frame(5000, 20, seed=0))
    false = named = 0
    for seed in range(1, 21):
        window = frame(500, 20, seed).with_columns(pl.col(f"x{k}") + 0.5 for k in range(5))
        found = check_window(baseline, profile(window, baseline), 500, BUDGET, 0.1)
        significant = [int(each.feature[1:]) for each in found.features if each.significant]
        named += len(significant)
        false += sum(feature >= 5 for feature in significant)
    assert named >= 100
    assert false / named <= 0.1


# 6. Empty windows.


def test_an_empty_window_is_not_no_drift() -> None:
    for config in (BUDGET, PLAIN, DriftConfig(min_rows=1)):
        assert check(normal(1000), normal(0), config).outcome == "not_enough_data"


# Who decides.


def test_small_and_sure_is_drift_by_the_budget_only() -> None:
    reference, window = normal(50_000), normal(20_000, 0.1, seed=1)
    by_budget = check(reference, window)
    assert (by_budget.outcome, by_budget.severity) == ("drift", "medium")
    assert by_budget.reason.startswith("1 of 1 features drifted; most: values of x, p = ")
    assert "; the budget of 1 false alarm per 30d calls this drift: p = " in by_budget.reason
    plain = check(reference, window, DriftConfig(thresholds={"psi": 0.25}))
    assert plain.outcome == "no_drift"
    assert "; the budget of 1 false alarm per 30d would have called this drift: p = " in plain.reason
    assert plain.reason.endswith(", alpha = 0.033")
    both = DriftConfig(thresholds={"psi": 0.25}, false_alarms="2 per 4w")
    assert check(reference, window, both).outcome == "no_drift"
    assert check(reference, normal(20_000, 1, seed=1), both).outcome == "drift"


def test_large_and_unsure_is_drift_by_thresholds_only() -> None:
    reference, window = normal(10_000), normal(60, seed=5)
    thresholds = {"psi": 0.05}
    plain = check(reference, window, DriftConfig(thresholds=thresholds, min_rows=50))
    assert plain.outcome == "drift"
    assert "would not have called this drift" in plain.reason
    both = check(reference, window, DriftConfig(thresholds=thresholds, false_alarms="1 per 30d", min_rows=50))
    assert (both.outcome, both.severity) == ("no_drift", "low")


def test_the_question_that_fired_is_named() -> None:
    reference = pl.DataFrame({"x": normal(5000), "c": ["a", "b"] * 2500})
    baseline = baseline_of(reference)
    window = pl.DataFrame({"x": [None] * 60 + normal(540, seed=1).tolist(), "c": ["a", "b", "new"] * 200})
    found = {each.feature: each for each in check_window(baseline, profile(window, baseline), 600, BUDGET).features}
    assert (found["x"].question, found["c"].question) == ("missing", "unseen")
    assert all(each.significant for each in found.values())


def test_values_have_twice_the_weight_of_missing_shares() -> None:
    missing = pl.Series([None] * 250 + [0.0] * 4750)
    baseline = baseline_of(frame(5000, 4, seed=0).with_columns(pl.all() + missing))
    window = frame(1000, 4, seed=1).with_columns(pl.all() + missing.gather(range(0, 5000, 5)))
    moved = window.with_columns(pl.col("x1") + 0.4)
    lost = window.with_columns(pl.when(pl.int_range(1000) >= 100).then("x2").alias("x2"))
    for rows, feature, question, times in ((moved, "x1", "values", 12 / 2), (lost, "x2", "missing", 12)):
        surest = check_window(baseline, profile(rows, baseline), 1000, BUDGET).features[0]
        assert (surest.feature, surest.question) == (feature, question)
        assert surest.adjusted_p == pytest.approx(surest.p_value * times, rel=1e-9)  # type: ignore[operator]


def test_a_feature_without_weight_is_told_and_not_acted_on() -> None:
    baseline = baseline_of(frame(5000, 2, seed=0))
    window = frame(1000, 2, seed=1).with_columns(pl.col("x1") + 1)
    ignored = DriftConfig(importance={"x1": 0})
    found = check_window(baseline, profile(window, baseline), 1000, ignored)
    assert found.outcome == "no_drift"
    told = next(each for each in found.features if each.feature == "x1")
    assert told.measures["psi"] > 0.5  # type: ignore[operator]
    assert told.p_value is not None
    assert told.p_value < 1e-20
    assert check_window(baseline, profile(window, baseline), 1000, BUDGET).outcome == "drift"


def test_a_constant_feature_is_fine() -> None:
    findings = check(np.full(1000, 3.0), np.full(200, 3.0))
    assert findings.outcome == "no_drift"
    assert "x has one and the same value on both sides" in findings.reason


# Profiles.


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(6)), st.lists(st.integers(1, 799), min_size=5, max_size=5, unique=True))
def test_merged_profiles_in_any_order_decide_like_a_full_scan(order: list[int], cuts: list[int]) -> None:
    window = pl.DataFrame({"x": normal(800, 0.1, seed=3), "c": ["a", "b", "c", None] * 200})
    bounds = [0, *sorted(cuts), 800]
    batches = [window.slice(start, end - start) for start, end in pairwise(bounds)]
    whole = check_window(MIXED, profile(window, MIXED), 800, BUDGET)
    parts = merge([profile(batches[position], MIXED) for position in order])
    assert check_window(MIXED, parts, 800, BUDGET) == whole


MIXED = baseline_of(pl.DataFrame({"x": normal(3000), "c": ["a", "b", "c"] * 1000}))


# The budget.


def test_the_level_of_a_check_grows_with_the_time_since_the_last() -> None:
    budget = FalseAlarms(1, 30 * DAY)
    assert level(budget, DAY) == pytest.approx(1 / 30)
    assert level(budget, DAY / 24) == pytest.approx(1 / 720)
    assert level(FalseAlarms(3, 30 * DAY), DAY) == pytest.approx(0.1)
    assert level(budget, 90 * DAY) == 0.5
    assert level(budget, -DAY) == 0


@pytest.mark.parametrize(
    ("written", "count", "per"),
    [("1 per 30d", 1, 30 * DAY), ("2 per 4w", 2, 28 * DAY), (" 10  per 36h ", 10, 1.5 * DAY)],
)
def test_a_budget_as_written(written: str, count: int, per: timedelta) -> None:
    config = DriftConfig.model_validate({"false_alarms": written})
    assert config.false_alarms == FalseAlarms(count, per)
    assert DriftConfig.model_validate({"false_alarms": str(config.false_alarms)}) == config


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("monthly", "is not a budget of false alarms; write a number and a duration: 1 per 30d"),
        (1, "is not a budget of false alarms"),
        ("1 per month", "is not a duration; write a number and a unit"),
        ("1 per P30D", "write its duration like 36h, 30d or 4w"),
        ("0 per 30d", "must allow one false alarm at least, in a time above 0"),
        ("1 per 0d", "must allow one false alarm at least, in a time above 0"),
        ("1 per 99999d", "is longer than a century"),
    ],
)
def test_a_budget_that_is_none_says_what_to_write(written: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DriftConfig.model_validate({"false_alarms": written})


def test_the_fewest_rows_depend_on_who_decides() -> None:
    assert DriftConfig().fewest_rows == 100
    assert DriftConfig(thresholds={"psi": 0.25}).fewest_rows == 500
    assert DriftConfig(thresholds={"psi": 0.25}, false_alarms="1 per 30d").fewest_rows == 100
    assert DriftConfig(thresholds={"psi": 0.25}, min_rows=7).fewest_rows == 7
