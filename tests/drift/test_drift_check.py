"""The decision about a window: it fires on real shifts, not on outliers, noise or nothing at all."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.bins import Floats
from flywheel.drift.check import Findings, check_window
from flywheel.drift.measured import Measured
from flywheel.drift.measures import MEASURES
from flywheel.drift.profile import merge, profile
from flywheel.drift.severity import SEVERITIES, Severity, recommendation, severity_of
from flywheel.manifest.drift import DriftConfig

PSI = DriftConfig(thresholds={"psi": 0.25})
SEED = DriftConfig(thresholds={"psi": 0.25, "kl_divergence": 0.1})
BUDGET = DriftConfig()
X = [Measured("x", "numeric")]


def normal(rows: int, mean: float = 0, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(mean, 1, rows)


def check(reference: Floats, window: Floats, config: DriftConfig = PSI) -> Findings:
    baseline = fit_baseline(pl.DataFrame({"x": reference}), X, "b")
    return check_window(baseline, profile(pl.DataFrame({"x": window}), baseline), window.size, config)


def psi(reference: Floats, window: Floats) -> float:
    value = check(reference, window).features[0].measures["psi"]
    assert value is not None
    return value


@pytest.mark.parametrize(("mean", "severity"), [(0.5, "medium"), (1, "critical"), (5, "critical")])
@pytest.mark.parametrize("seed", range(5))
def test_a_shift_of_the_mean_fires(mean: float, severity: Severity, seed: int) -> None:
    findings = check(normal(10_000, seed=seed), normal(5000, mean, seed=seed + 100), SEED)
    assert findings.outcome == "drift"
    assert findings.severity == severity


@pytest.mark.parametrize("seed", range(5))
def test_psi_and_kl_see_a_shift_of_half_a_standard_deviation_that_psi_misses(seed: int) -> None:
    reference, window = normal(50_000, seed=seed), normal(50_000, 0.5, seed=seed + 100)
    found = check(reference, window, SEED)
    assert (found.outcome, found.features[0].worst_measure) == ("drift", "kl_divergence")
    assert check(reference, window, PSI).outcome == "no_drift"


@pytest.mark.parametrize("baseline_rows", [SEED.fewest_rows, 10_000])
@pytest.mark.parametrize("rows", [SEED.fewest_rows, 1000, 5000])
def test_thresholds_hold_still_from_the_fewest_rows_on(baseline_rows: int, rows: int) -> None:
    baseline = fit_baseline(pl.DataFrame({"x": normal(baseline_rows)}), X, "b")
    windows = [profile(pl.DataFrame({"x": normal(rows, seed=seed)}), baseline) for seed in range(1, 41)]
    assert {check_window(baseline, window, rows, SEED).outcome for window in windows} == {"no_drift"}


@pytest.mark.parametrize("mean", [0.5, 1, 5])
def test_one_outlier_on_either_side_moves_psi_by_less_than_a_hundredth(mean: float) -> None:
    reference, window = normal(10_000), normal(10_000, mean, seed=1)
    clean = psi(reference, window)
    assert psi(np.append(reference, 1e4), window) == pytest.approx(clean, rel=0.01)
    assert psi(reference, np.append(window, 1e4)) == pytest.approx(clean, rel=0.01)
    assert psi(np.append(reference, 1e4), np.append(window, 1e4)) == pytest.approx(clean, rel=0.01)


def test_an_empty_window_is_not_enough_data() -> None:
    findings = check(normal(10_000), normal(0))
    assert (findings.outcome, findings.severity, findings.features) == ("not_enough_data", "none", [])
    assert findings.reason == "0 rows in the window; a check needs 500"


def test_a_small_window_or_baseline_is_not_enough_data() -> None:
    assert check(normal(10_000), normal(499, 5)).outcome == "not_enough_data"
    assert check(normal(10_000), normal(500, 5)).outcome == "drift"
    findings = check(normal(499), normal(5000, 5))
    assert findings.outcome == "not_enough_data"
    assert findings.reason == "499 rows in baseline b; a check needs 500"


def test_rows_without_profiles_are_not_enough_data() -> None:
    baseline = fit_baseline(pl.DataFrame({"x": normal(1000)}), X, "b")
    findings = check_window(baseline, merge([]), 1000, PSI)
    assert findings.outcome == "not_enough_data"
    assert "no feature could be judged" in findings.reason
    assert "x" in findings.reason


def test_equal_distributions_do_not_fire_from_five_hundred_rows_on() -> None:
    baseline = fit_baseline(pl.DataFrame({"x": normal(10_000)}), X, "b")
    found = [
        check_window(baseline, profile(pl.DataFrame({"x": normal(500, seed=seed)}), baseline), 500, PSI).outcome
        for seed in range(1, 101)
    ]
    assert set(found) == {"no_drift"}


@pytest.mark.parametrize(
    ("ratio", "severity"),
    [
        (0, "none"), (0.399, "none"), (0.4, "low"), (0.999, "low"), (1, "medium"), (1.999, "medium"), (2, "high"),
        (3.999, "high"), (4, "critical"), (1e9, "critical"),
    ],
)  # fmt: skip
def test_severity_goes_by_the_ratio_to_the_threshold(ratio: float, severity: Severity) -> None:
    assert severity_of(ratio) == severity


def test_each_severity_says_what_to_do() -> None:
    assert [recommendation(severity) for severity in SEVERITIES] == [
        "nothing to do", "continue monitoring", "consider retraining", "retrain within 24 h", "act now"
    ]  # fmt: skip


def mixed(rows: int, shift: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 5, rows)
    return pl.DataFrame(
        {
            "speed": rng.normal(shift, 1, rows),
            "carrier": rng.choice(["UA", "AA"], rows),
            "prediction": [{"score": value, "label": "late" if value > 0.5 else "on time"} for value in score],
        }
    )


MIXED = [
    Measured("speed", "numeric"),
    Measured("carrier", "category"),
    Measured("prediction.score", "numeric"),
    Measured("prediction.label", "category"),
]


def mixed_baseline() -> Baseline:
    return fit_baseline(mixed(5000, 0, 0), MIXED, "flights-1")


def test_findings_name_the_worst_feature_first_with_every_measure() -> None:
    baseline = mixed_baseline()
    findings = check_window(baseline, profile(mixed(3000, 1, 1), baseline), 3000, SEED)
    worst = findings.features[0]
    assert (worst.feature, worst.kind, worst.worst_measure, worst.threshold) == (
        "speed",
        "numeric",
        "kl_divergence",
        0.1,
    )
    assert set(worst.measures) == set(worst.corrected) == set(MEASURES)
    assert worst.severity == findings.severity == "critical"
    assert [finding.severity for finding in findings.features[1:]] == ["none"] * 3
    assert findings.reason.startswith("1 of 4 features drifted; most: kl_divergence of speed is 0.4")
    assert Findings.model_validate_json(findings.model_dump_json()) == findings


def test_no_drift_says_what_came_closest() -> None:
    baseline = mixed_baseline()
    findings = check_window(baseline, profile(mixed(3000, 0, 1), baseline), 3000, PSI)
    assert findings.outcome == "no_drift"
    assert findings.reason.startswith("none of 4 features drifted; most: psi of ")


def test_drift_that_is_only_in_the_prediction_fires() -> None:
    baseline = mixed_baseline()
    window = mixed(3000, 0, 1).with_columns(prediction=pl.struct(score=pl.lit(0.9), label=pl.lit("late")))
    findings = check_window(baseline, profile(window, baseline), 3000, DriftConfig(features=["carrier"]))
    assert findings.outcome == "drift"
    assert {finding.feature for finding in findings.features} == {"carrier", "prediction.score", "prediction.label"}


def test_what_cannot_be_judged_is_named_not_passed() -> None:
    baseline = mixed_baseline()
    config = DriftConfig(thresholds={"ks": 0.2}, features=["carrier", "altitude"])
    findings = check_window(baseline, profile(mixed(3000, 0, 1), baseline), 3000, config)
    assert findings.outcome == "no_drift"
    assert findings.reason.endswith(
        "; not judged, for want of values, a threshold or a baseline: carrier, prediction.label, altitude"
    )


def test_order_of_equal_findings_and_of_json_is_fixed() -> None:
    baseline = mixed_baseline()
    counts = profile(mixed(3000, 0, 1), baseline)
    first, again = (check_window(baseline, counts, 3000, PSI).model_dump_json() for _ in range(2))
    assert first == again
