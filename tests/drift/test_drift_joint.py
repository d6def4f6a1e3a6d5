"""Joint questions beside those of single features: one budget, a tenth of it theirs, whoever decides on features."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.check import Findings, check_window
from flywheel.drift.joint import JOINT_SHARE, JointFinding
from flywheel.drift.measured import Measured
from flywheel.drift.profile import profile
from flywheel.manifest.drift import DriftConfig

FEATURES = [Measured(name, "numeric") for name in ("a", "b", "c")]


def rows(seed: int, number: int, shift: float = 0.0) -> pl.DataFrame:
    values = np.random.default_rng(seed).standard_normal((3, number))
    return pl.DataFrame({"a": values[0] + shift, "b": values[1], "c": values[2]})


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return fit_baseline(rows(0, 10_000), FEATURES, "b")


def classifier(p_value: float, auc: float = 0.6) -> JointFinding:
    return JointFinding(
        test="domain_classifier", name="multivariate", value=auc, p_value=p_value, features=["a", "b", "c", "d"]
    )


def check(baseline: Baseline, window: pl.DataFrame, *joint: JointFinding, **config: object) -> Findings:
    return check_window(baseline, profile(window, baseline), window.height, DriftConfig(**config), joint=joint)  # type: ignore[arg-type]


def test_what_is_found_only_together_is_drift_and_is_named(baseline: Baseline) -> None:
    found = check(baseline, rows(1, 1_000), classifier(1e-6))
    assert (found.outcome, found.severity, found.is_over_budget) == ("drift", "medium", True)
    assert "none of 3 features drifted by itself, together they did: rows are told from the reference's" in found.reason
    assert "AUC 0.6, by a, b, c;" in found.reason
    assert "calls this drift" in found.reason


@pytest.mark.parametrize(("auc", "severity"), [(0.51, "medium"), (0.65, "medium"), (0.7, "high"), (1.0, "critical")])
def test_its_severity_is_that_of_the_size(baseline: Baseline, auc: float, severity: str) -> None:
    assert check(baseline, rows(1, 1_000), classifier(1e-9, auc)).severity == severity


def test_an_auc_is_as_large_as_the_psi_of_a_normal_feature_that_moved() -> None:
    """Rows of N(0, 1) and N(d, 1) are told apart with the AUC Φ(d / √2), and have the PSI d²."""
    random = np.random.default_rng(3)
    usual, moved = random.standard_normal(4_000), random.standard_normal(4_000) + 0.7
    auc = float((usual[:, None] < moved).mean())
    assert classifier(0.1, auc).size == pytest.approx(0.49, rel=0.1)
    assert classifier(0.1, 0.4).size == 0, "worse than chance is chance"


def test_thresholds_have_no_say(baseline: Baseline) -> None:
    found = check(baseline, rows(1, 1_000), classifier(1e-6), thresholds={"psi": 0.25})
    assert (found.outcome, found.severity) == ("drift", "medium")
    assert "the budget of 1 false alarm per 30d calls this drift" in found.reason
    calm = check(baseline, rows(1, 1_000), classifier(0.2), thresholds={"psi": 0.25})
    assert calm.outcome == "no_drift"
    assert "would not have called this drift" in calm.reason


def test_what_was_not_asked_is_told_and_takes_nothing_of_the_budget(baseline: Baseline) -> None:
    window = rows(2, 1_000, shift=0.1)
    unasked = JointFinding(test="embedding", name="title", features=["a", "b"], why_not="no sample yet")
    found, alone = check(baseline, window, unasked), check(baseline, window)
    assert "not asked: title: no sample yet" in found.reason
    assert [each.adjusted_p for each in found.features] == [each.adjusted_p for each in alone.features]


def test_a_tenth_of_the_budget_is_theirs_however_many_there_are(baseline: Baseline) -> None:
    window = rows(2, 1_000, shift=0.15)
    alone = check(baseline, window).features[0].adjusted_p
    assert alone is not None
    for number in (1, 5):
        found = check(baseline, window, *[classifier(1.0) for _ in range(number)])
        assert found.features[0].adjusted_p == pytest.approx(alone / (1 - JOINT_SHARE))
        # One alone, and one beside many, is adjusted by its own share.
        sure = check(baseline, rows(1, 1_000), classifier(1e-7), *[classifier(1.0) for _ in range(number - 1)])
        assert sure.joint[0].adjusted_p == pytest.approx(1e-7 * number / JOINT_SHARE)


def test_features_without_any_weight_leave_all_of_it_to_them(baseline: Baseline) -> None:
    weightless = dict.fromkeys(("a", "b", "c"), 0.0)
    assert check(baseline, rows(1, 1_000, shift=1.0), classifier(0.9), importance=weightless).outcome == "no_drift"
    assert check(baseline, rows(1, 1_000), classifier(0.001), importance=weightless).outcome == "drift"


def test_the_chance_of_a_false_alarm_is_alpha_with_joint_questions(baseline: Baseline) -> None:
    """400 checks without drift: 99.9% of the binomial at 0.1."""
    random = np.random.default_rng(5)
    alarms = 0
    for seed in range(400):
        if seed % 20 == 0:
            reference = fit_baseline(rows(10_000 + seed, 10_000), FEATURES, "b")
        window = rows(seed, 300)
        joint = [classifier(float(random.random())), classifier(float(random.random()))]
        found = check_window(reference, profile(window, reference), 300, DriftConfig(), 0.1, joint)
        alarms += found.outcome == "drift"
    assert 21 <= alarms <= 61
