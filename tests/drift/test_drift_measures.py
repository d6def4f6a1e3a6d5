"""What every measure must do, and that each equals an independent computation."""

from __future__ import annotations

import warnings
from typing import get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon, minkowski

from flywheel.drift.baseline import CategoryBaseline, NumericBaseline, fit_baseline
from flywheel.drift.bins import Floats
from flywheel.drift.measured import Kind, Measured
from flywheel.drift.measures import MEASURES, correct_all, measure_all
from flywheel.drift.measures.comparison import Comparison, floored
from flywheel.drift.measures.ks import ks_error_bound
from flywheel.drift.measures.wasserstein import wasserstein_error_bound
from flywheel.manifest.drift import Measure as MeasureName

EVERY = sorted(MEASURES)
BY_BUCKETS = ["psi", "kl_divergence", "js_divergence", "hellinger", "total_variation", "chi_square"]
NUMERIC_ONLY = {"ks", "wasserstein"}


def baseline_of(values: Floats | list, kind: Kind = "numeric") -> NumericBaseline | CategoryBaseline:
    rows = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64 if kind == "numeric" else pl.String)})
    return fit_baseline(rows, [Measured("x", kind)], "b").features["x"]


def compare(reference: Floats | list, window: Floats | list, kind: Kind = "numeric") -> Comparison:
    baseline = baseline_of(reference, kind)
    dtype = pl.Float64 if kind == "numeric" else pl.String
    return Comparison(baseline, baseline.count(pl.Series(window, dtype=dtype)))


def normal(rows: int, mean: float = 0, std: float = 1, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(mean, std, rows)


def with_missing(values: Floats, share: float) -> Floats:
    missing = np.random.default_rng(9).random(values.size) < share
    return np.where(missing, np.nan, values)


def test_the_registry_has_the_measures_that_a_manifest_may_name() -> None:
    assert set(MEASURES) == set(get_args(MeasureName))


# The conformance suite: one line in the registry brings a measure under all of it.


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (with_missing(normal(1000), 0.1), "numeric"),
        (np.round(normal(1000)), "numeric"),
        (np.full(700, 3.0), "numeric"),
        (["a"] * 30 + ["b"] * 7 + [None] * 3, "category"),
    ],
)
def test_it_is_zero_on_the_reference_itself_at_any_size(name: str, values: list, kind: Kind, times: int) -> None:
    value = MEASURES[name].value(compare(values, list(values) * times, kind))
    assert value in (0.0, None)
    is_constant = kind == "numeric" and len(set(values)) == 1
    undefined = NUMERIC_ONLY if kind == "category" else {"unseen_rate"} | ({"wasserstein"} if is_constant else set())
    assert (value is None) == (name in undefined)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("reference", "window", "kind"),
    [
        ([1.0, 2.0, 3.0], [100.0] * 5, "numeric"),
        ([1.0] * 9, [2.0] * 9, "numeric"),
        ([1.0] * 9, [None] * 9, "numeric"),
        ([None] * 9, [1.0] * 9, "numeric"),
        (["a"], ["b"], "category"),
        (["a"], [None], "category"),
        ([None], ["a"], "category"),
    ],
)
def test_it_is_finite_on_empty_bins(name: str, reference: list, window: list, kind: Kind) -> None:
    value = MEASURES[name].value(compare(reference, window, kind))
    assert value is None or np.isfinite(value)


@pytest.mark.parametrize("name", EVERY)
def test_it_grows_with_the_shift(name: str) -> None:
    reference = normal(20_000)
    if name == "unseen_rate":
        letters = ["a"] * 20_000
        windows = [letters + ["new"] * rows for rows in (100, 1000, 5000, 50_000)]
        values = [MEASURES[name].value(compare(letters, window, "category")) or 0.0 for window in windows]
        assert values == sorted(set(values))
        return
    if name == "missing_rate":
        windows = [with_missing(normal(20_000, seed=1), share) for share in (0.01, 0.05, 0.2, 0.6, 0.95)]
    else:
        windows = [normal(20_000, mean, seed=1) for mean in (0.1, 0.25, 0.5, 1, 2, 4)]
    values = [MEASURES[name].value(compare(reference, window)) or 0.0 for window in windows]
    assert values == sorted(values)
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", EVERY)
def test_its_bins_come_from_the_reference_only(name: str) -> None:
    reference = normal(10_000)
    mild, wild = compare(reference, normal(10_000, 1, seed=1)), compare(reference, normal(10_000, 100, 50, seed=1))
    assert mild.baseline == wild.baseline
    value, outlier = (
        MEASURES[name].value(compare(reference, np.append(normal(10_000, 1, seed=1), [extra]))) for extra in (0.0, 1e4)
    )
    assert outlier == pytest.approx(value, abs=2e-3)


@pytest.mark.parametrize("name", EVERY)
def test_it_is_undefined_without_rows(name: str) -> None:
    assert measure_all(compare([], [1.0, 2.0]))[name] is None
    assert measure_all(compare([1.0, 2.0], []))[name] is None


@pytest.mark.parametrize("name", BY_BUCKETS)
def test_a_change_of_missing_values_alone_is_seen(name: str) -> None:
    reference = normal(10_000)
    value = MEASURES[name].value(compare(reference, with_missing(reference, 0.3)))
    assert value is not None
    assert value > 0.05


@pytest.mark.parametrize("name", BY_BUCKETS)
def test_a_category_that_was_never_seen_is_drift(name: str) -> None:
    value = MEASURES[name].value(compare(["a", "b"] * 500, ["a", "b", "new"] * 300, "category"))
    assert value is not None
    assert value > 0.1


@pytest.mark.parametrize("name", BY_BUCKETS)
def test_a_constant_that_becomes_another_constant_is_drift(name: str) -> None:
    for other in (2.0, 4.0):
        value = MEASURES[name].value(compare([3.0] * 1000, [other] * 1000))
        assert value is not None
        assert value > 0.9


# Golden values.


def shares(values: Floats, edges: Floats) -> Floats:
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1) / values.size


@pytest.mark.parametrize("window", [normal(5000, seed=1), normal(5000, 0.5, seed=2), normal(800, 0, 2, seed=3)])
def test_psi_kl_and_js_equal_scipy_on_deciles_of_the_reference(window: Floats) -> None:
    reference = normal(10_000)
    deciles = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
    r, w = shares(reference, deciles), shares(window, deciles)
    found = measure_all(compare(reference, window))
    assert found["psi"] == pytest.approx(stats.entropy(w, r) + stats.entropy(r, w), rel=1e-9)
    assert found["kl_divergence"] == pytest.approx(stats.entropy(w, r), rel=1e-9)
    assert found["js_divergence"] == pytest.approx(jensenshannon(r, w, base=2) ** 2, rel=1e-9)


def test_psi_kl_and_js_equal_scipy_on_categories_with_missing_and_unseen() -> None:
    reference = ["a"] * 600 + ["b"] * 300 + ["c"] * 80 + [None] * 20
    window = ["a"] * 300 + ["b"] * 100 + ["new"] * 50 + [None] * 50
    r, w = np.array([600, 300, 80, 0, 20]) / 1000, np.array([300, 100, 0, 50, 50]) / 500
    found = measure_all(compare(reference, window, "category"))
    assert found["js_divergence"] == pytest.approx(jensenshannon(r, w, base=2) ** 2, rel=1e-9)
    r, w = np.maximum(r, 1e-4) / np.maximum(r, 1e-4).sum(), np.maximum(w, 1e-4) / np.maximum(w, 1e-4).sum()
    assert found["kl_divergence"] == pytest.approx(stats.entropy(w, r), rel=1e-9)
    assert found["psi"] == pytest.approx(stats.entropy(w, r) + stats.entropy(r, w), rel=1e-9)
    assert found["missing_rate"] == pytest.approx(0.08)


def test_the_extremes_are_those_that_the_docstrings_state() -> None:
    found = measure_all(compare(["a"] * 10, ["b"] * 10, "category"))
    assert found["psi"] == pytest.approx(18.4, abs=0.1)
    assert found["kl_divergence"] == pytest.approx(9.2, abs=0.1)
    assert found["js_divergence"] == 1.0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20).filter(lambda raw: sum(raw) > 0.01))
def test_floored_shares_add_up_to_one_and_have_no_zero(raw: list[float]) -> None:
    plain = np.array(raw) / sum(raw)
    found = floored(plain)
    assert found.sum() == pytest.approx(1)
    assert found.min() > 0.9e-4
    assert np.abs(found - plain).max() <= 20 * 1e-4


def test_hellinger_tv_and_chi_square_equal_scipy_on_deciles_of_the_reference() -> None:
    reference, window = normal(10_000), normal(4000, 0.4, seed=1)
    deciles = np.quantile(reference, np.arange(1, 10) / 10, method="inverted_cdf")
    r, w = shares(reference, deciles), shares(window, deciles)
    found = measure_all(compare(reference, window))
    assert found["hellinger"] == pytest.approx(np.sqrt(1 - np.sum(np.sqrt(r * w))), rel=1e-9)
    assert found["total_variation"] == pytest.approx(minkowski(r, w, 1) / 2, rel=1e-9)
    assert found["chi_square"] == pytest.approx(stats.chisquare(w * 4000, r * 4000).statistic / 4000, rel=1e-9)


def test_unseen_rate_is_the_share_of_new_categories() -> None:
    found = measure_all(compare(["a"] * 90 + ["b"] * 10, ["a"] * 6 + ["new"] * 3 + [None], "category"))
    assert (found["unseen_rate"], found["missing_rate"]) == (pytest.approx(0.3), pytest.approx(0.1))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("kind", ["numeric", "category"])
def test_what_chance_adds_is_taken_off_and_never_more(name: str, kind: Kind) -> None:
    window = normal(300, 0.1, seed=2) if kind == "numeric" else ["a"] * 40 + ["b"] * 20 + ["new"] * 3
    reference = normal(900) if kind == "numeric" else ["a"] * 80 + ["b"] * 40 + [None]
    comparison = compare(reference, window, kind)
    measures = measure_all(comparison)
    corrected, value = correct_all(measures, comparison)[name], measures[name]
    if value is None:
        assert corrected is None
    else:
        assert corrected is not None
        assert 0 <= corrected <= value


def clipped(values: Floats, edges: list[float]) -> Floats:
    return np.clip(values, edges[0], edges[-1])


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 1000), st.integers(30, 600), st.integers(1, 400), st.floats(-3, 3), st.sampled_from([0, 1, 6]))
def test_wasserstein_from_bins_is_within_its_bound_of_scipy(
    seed: int, rows: int, window_rows: int, mean: float, digits: int
) -> None:
    reference, window = normal(rows, seed=seed).round(digits), normal(window_rows, mean, seed=seed + 1).round(digits)
    comparison = compare(reference, window)
    found, bound = MEASURES["wasserstein"].value(comparison), wasserstein_error_bound(comparison)
    assert isinstance(comparison.baseline, NumericBaseline)
    spread, edges = comparison.baseline.spread, comparison.baseline.edges
    if spread is None:
        assert found is None
        return
    true = stats.wasserstein_distance(clipped(reference, edges), clipped(window, edges)) / spread
    assert found == pytest.approx(true, abs=bound + 1e-9)
    assert true <= stats.wasserstein_distance(reference, window) / spread + 1e-9


@pytest.mark.parametrize("reference", [[0.0, 1.7976931348623157e308], [-1.7e308] * 5 + [1.7e308] * 5, [1e200, -1e200]])
def test_wasserstein_at_the_end_of_the_numbers_is_undefined_not_wrong(reference: list[float]) -> None:
    comparison = compare(reference, [0.0, 1.0])
    value = MEASURES["wasserstein"].value(comparison)
    assert value is None or np.isfinite(value)
    assert correct_all(measure_all(comparison), comparison)["wasserstein"] is None or np.isfinite(value or 0)


def test_wasserstein_of_a_shift_is_its_size_in_standard_deviations() -> None:
    reference = normal(50_000, std=7)
    comparison = compare(reference, normal(50_000, 0.7, 7, seed=1))
    assert isinstance(comparison.baseline, NumericBaseline)
    assert comparison.baseline.spread == pytest.approx(7, rel=0.05)
    assert MEASURES["wasserstein"].value(comparison) == pytest.approx(0.1, abs=0.015)
    bound = wasserstein_error_bound(comparison)
    assert bound is not None
    assert bound < 0.06


samples = st.one_of(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300),
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=300),
    st.tuples(st.integers(0, 100), st.integers(1, 400), st.floats(-2, 2)).map(
        lambda drawn: normal(drawn[1], drawn[2], seed=drawn[0]).round(1).tolist()
    ),
)


def two_sample_ks(reference: list[float], window: list[float]) -> float:
    """By scipy; the p-value that comes with it warns on tiny samples, and is not looked at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(stats.ks_2samp(reference, window, method="asymp").statistic)


@settings(deadline=None, max_examples=150)
@given(samples, samples)
def test_ks_from_bins_is_within_its_bound_of_scipy(reference: list[float], window: list[float]) -> None:
    comparison = compare(reference, window)
    found, bound = MEASURES["ks"].value(comparison), ks_error_bound(comparison)
    assert found is not None
    assert bound is not None
    true = two_sample_ks(reference, window)
    assert found - 1e-12 <= true <= found + bound + 1e-12
    assert bound <= max(2 / 100, 1 / 100 + 1 / len(reference)) + 1e-12


@pytest.mark.parametrize("window", [normal(9000, seed=1), normal(3000, 0.3, seed=2), normal(9000, 0, 1.5, seed=3)])
def test_ks_from_bins_is_within_two_thousandths_on_smooth_data(window: Floats) -> None:
    reference = normal(20_000)
    true = stats.ks_2samp(reference, window).statistic
    assert MEASURES["ks"].value(compare(reference, window)) == pytest.approx(true, abs=2e-3)


def test_ks_is_exact_on_few_distinct_values() -> None:
    rng = np.random.default_rng(5)
    reference, window = rng.poisson(3, 4000).clip(0, 6), rng.poisson(4, 900).clip(0, 6)
    comparison = compare(reference.astype(float), window.astype(float))
    assert ks_error_bound(comparison) == 0
    assert MEASURES["ks"].value(comparison) == pytest.approx(stats.ks_2samp(reference, window).statistic, abs=1e-12)


def test_ks_does_not_see_missing_values() -> None:
    reference = normal(5000)
    window = with_missing(normal(5000, 0.5, seed=1), 0.4)
    true = stats.ks_2samp(reference, window[~np.isnan(window)]).statistic
    assert MEASURES["ks"].value(compare(reference, window)) == pytest.approx(true, abs=2e-3)
    assert MEASURES["ks"].value(compare(reference, [None] * 9)) is None
