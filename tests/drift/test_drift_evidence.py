"""p-values: equal to scipy where it has them, and uniform when nothing drifts, at every size."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from flywheel.drift.baseline import fit_baseline
from flywheel.drift.bins import Floats
from flywheel.drift.counting import Counts
from flywheel.drift.evidence.chi_square_test import chi_square_test
from flywheel.drift.evidence.combination import cauchy_combination
from flywheel.drift.evidence.exact_test import exact_test
from flywheel.drift.evidence.false_discovery import adjusted
from flywheel.drift.evidence.grouping import FEWEST, group_categories, group_neighbours
from flywheel.drift.evidence.hypotheses import answer_all, stacked
from flywheel.drift.evidence.smooth_test import components, smooth_test
from flywheel.drift.evidence.weighted_chi_square import SMALLEST, tail
from flywheel.drift.measured import Kind, Measured
from flywheel.drift.measures.comparison import Comparison


def compare(reference: Floats | list, window: Floats | list, kind: Kind = "numeric") -> Comparison:
    dtype = pl.Float64 if kind == "numeric" else pl.String
    rows = pl.DataFrame({"x": pl.Series(reference, dtype=dtype)})
    baseline = fit_baseline(rows, [Measured("x", kind)], "b").features["x"]
    return Comparison(baseline, baseline.count(pl.Series(window, dtype=dtype)))


def assert_level(p_values: Floats, level: float) -> None:
    """The share of p-values at most ``level`` is ``level``, to within four standard errors."""
    error = np.sqrt(level * (1 - level) / p_values.size)
    assert np.mean(p_values <= level) == pytest.approx(level, abs=4 * error)


# The tail of the null.


@pytest.mark.parametrize("value", [0.001, 1.0, 3.84, 40.0, 300.0])
@pytest.mark.parametrize("degrees", [1, 2, 7])
def test_equal_weights_are_a_chi_square(value: float, degrees: int) -> None:
    weights = (0.5,) * degrees
    assert tail(weights, np.array([value / 2]))[0] == pytest.approx(stats.chi2.sf(value, degrees), rel=1e-9)


def test_two_weights_equal_an_integral() -> None:
    for value in (0.5, 4.0, 20.0):
        below = quad(lambda x, top=value: stats.chi2.pdf(x, 1) * stats.chi2.sf((top - x) / 0.3, 1), 0, value)[0]
        assert tail((1.0, 0.3), np.array([value]))[0] == pytest.approx(below + stats.chi2.sf(value, 1), rel=1e-6)


def test_the_tail_falls_and_never_is_zero() -> None:
    weights = tuple((1 / np.arange(1, 21)).tolist())
    found = tail(weights, np.array([0.0, 5, 20, 60, 99, 101, 115, 200, 1000, 1e6]))
    assert (np.diff(found[:-1]) < 0).all()
    assert found[-2] == pytest.approx(np.sqrt(20) * stats.chi2.sf(1000, 1), rel=0.01)
    assert found[0] == 1
    assert found[-1] == SMALLEST


# Numbers.


def test_the_first_component_is_the_wilcoxon_test_with_ties() -> None:
    rng = np.random.default_rng(0)
    reference, window = rng.poisson(3, 400), rng.poisson(3.4, 150)
    top = max(reference.max(), window.max()) + 1
    counts = [np.bincount(side, minlength=top)[None, :] for side in (reference, window)]
    statistic = stats.kruskal(reference, window).statistic
    assert components(*counts)[0, 0] ** 2 == pytest.approx(statistic, rel=1e-9)


def test_the_second_component_is_moods_test_of_scale() -> None:
    rng = np.random.default_rng(1)
    reference, window = rng.normal(size=900), rng.normal(0, 1.3, 300)
    together = np.sort(np.concatenate((reference, window)))
    counts = [np.isin(together, side).astype(np.int64)[None, :] for side in (reference, window)]
    location, scale = components(*counts)[0, :2]
    mood = stats.mood(window, reference).statistic
    # Mood's ranks are not orthogonal to Wilcoxon's in the sample, only nearly.
    assert abs(scale) == pytest.approx(abs(mood), abs=0.02 * abs(location) + 0.02)


def test_all_twenty_weighted_anew_are_the_test_of_anderson_and_darling() -> None:
    """Of 21 values there are no more than 20; scipy's statistic is shifted and scaled by what their number says."""
    rng = np.random.default_rng(2)
    weights = 1 / (np.arange(1, 21) * np.arange(2, 22))
    ours, theirs = [], []
    for _ in range(12):
        is_window = np.isin(np.arange(21), rng.choice(21, 9, replace=False))
        counts = [side.astype(np.int64)[None, :] for side in (~is_window, is_window)]
        ours.append(components(*counts)[0] ** 2 @ weights)
        sides = [np.flatnonzero(side) for side in (~is_window, is_window)]
        method = stats.PermutationMethod(n_resamples=1)  # no table of p-values, that would warn of its ends
        theirs.append(stats.anderson_ksamp(sides, variant="continuous", method=method).statistic)
    assert np.ptp(theirs) > 1
    assert np.corrcoef(ours, theirs)[0, 1] == pytest.approx(1, abs=1e-9)


def test_two_bins_are_the_chi_square_test_of_a_share() -> None:
    reference, window = np.array([[7000, 3000]]), np.array([[680, 320]])
    expected = stats.chi2_contingency(np.vstack((reference, window)), correction=False).pvalue
    assert smooth_test(reference, window)[0] == pytest.approx(expected, rel=5e-3)


def continuous(rows: int, window_rows: int, checks: int, seed: int = 0) -> tuple[Counts, Counts]:
    """Counts of continuous values: edges are order statistics, so the noise of the reference is in the bins' shares."""
    rng = np.random.default_rng(seed)
    edges = -(-np.arange(1, 100) * rows // 100)
    counts = np.diff([0, *edges, rows])
    gamma = rng.standard_gamma(np.broadcast_to(counts + (np.arange(100) == 99), (checks, 100)))
    window = rng.multinomial(window_rows, gamma / gamma.sum(axis=1, keepdims=True))
    return np.broadcast_to(counts, window.shape), window


@pytest.mark.parametrize(("rows", "window_rows"), [(10_000, 1000), (700, 700), (2000, 20_000)])
def test_its_level_on_continuous_values_is_the_stated_one(rows: int, window_rows: int) -> None:
    p_values = smooth_test(*continuous(rows, window_rows, 3000))
    for level in (0.5, 0.1, 0.01):
        assert_level(p_values, level)


@pytest.mark.parametrize("window_rows", [100, 200])
def test_its_level_with_few_rows_in_groups_of_bins(window_rows: int) -> None:
    reference, window = continuous(10_000, window_rows, 2000)
    groups = [group_neighbours(*sides) for sides in zip(reference, window, strict=True)]
    p_values = smooth_test(stacked([each.reference for each in groups]), stacked([each.window for each in groups]))
    for level in (0.1, 0.01):
        assert_level(p_values, level)


@pytest.mark.parametrize(
    ("mean", "std", "power"),
    [(0.15, 1, 0.78), (0, 1.15, 0.70)],
)
def test_it_sees_more_than_kolmogorov_and_smirnov(mean: float, std: float, power: float) -> None:
    rng = np.random.default_rng(3)
    reference = rng.normal(size=10_000)
    windows = rng.normal(mean, std, (150, 1000))
    comparisons = [compare(reference, windows[0])]
    comparisons += [
        Comparison(comparisons[0].baseline, comparisons[0].baseline.count(pl.Series(window))) for window in windows[1:]
    ]
    ours = np.mean([answers["values"] <= 1e-3 for answers in answer_all(comparisons)])
    theirs = np.mean([stats.ks_2samp(reference, window, method="asymp").pvalue <= 1e-3 for window in windows])
    assert ours >= power
    assert ours > theirs


# Categories.


def test_the_chi_square_test_equals_scipy_on_large_tables() -> None:
    rng = np.random.default_rng(2)
    reference = rng.multinomial(50_000, [0.4, 0.3, 0.2, 0.1])
    for share in (0.1, 0.105, 0.12):
        window = rng.multinomial(20_000, np.array([0.4, 0.3, 0.3 - share, share]))
        expected = stats.chi2_contingency(np.vstack((reference, window)), correction=False).pvalue
        assert chi_square_test(reference, window) == pytest.approx(expected, rel=0.02)


def test_the_chi_square_test_keeps_its_level_far_out_where_rows_are_few() -> None:
    """All windows of 100 rows there can be, given the pooled counts, each with its chance."""
    columns, drawn = np.array([1_200, 600, 200]), 100
    windows = np.array([(a, b, drawn - a - b) for a in range(drawn + 1) for b in range(drawn + 1 - a)])
    chances = stats.multivariate_hypergeom.pmf(windows, columns, drawn)
    possible = chances > 1e-12
    windows, chances = windows[possible], chances[possible]
    p_values = np.array([chi_square_test(columns - window, window) for window in windows])
    plain = np.array(
        [stats.chi2_contingency([columns - window, window], correction=False).pvalue for window in windows]
    )
    for level in (0.01, 1e-3, 1e-4):
        assert chances[p_values <= level].sum() == pytest.approx(level, rel=0.25)
    assert chances[plain <= 1e-4].sum() > 1.5e-4


@pytest.mark.parametrize("share", [0.01, 0.05])
@pytest.mark.parametrize("rows", [100, 200, 1_000])
def test_yes_or_no_keeps_its_level_far_out_where_rows_are_few(share: float, rows: int) -> None:
    reference = pl.DataFrame({"flag": ["yes"] * int(20_000 * share) + ["no"] * int(20_000 * (1 - share))})
    baseline = fit_baseline(reference, [Measured("flag", "category")], "flags").features["flag"]
    counts = [np.array([rows - marked, marked, 0, 0, 0]) for marked in range(rows + 1)]
    answers = answer_all([Comparison(baseline, each) for each in counts])
    p_values = np.array([each.get("values", 1.0) for each in answers])
    chances = stats.binom.pmf(np.arange(rows + 1), rows, share)
    for level in (1e-3, 2e-4, 1e-5):
        assert chances[p_values <= level].sum() <= 1.2 * level


def test_a_hundred_categories_in_five_hundred_rows_keep_their_level() -> None:
    rng = np.random.default_rng(4)
    shares = 1 / np.arange(1, 101)
    shares /= shares.sum()
    references, windows = rng.multinomial(10_000, shares, 1500), rng.multinomial(500, shares, 1500)
    p_values = []
    for reference, window in zip(references, windows, strict=True):
        groups = group_categories(reference, window)
        p_values.append(chi_square_test(groups.reference, groups.window))
    for level in (0.2, 0.05, 0.01):
        assert_level(np.array(p_values), level)


# Shares of marked rows.


def mid_p(reference: int, window: int, reference_rows: int, window_rows: int) -> float:
    law = stats.hypergeom(reference_rows + window_rows, reference + window, window_rows)
    likely, observed = law.pmf(np.arange(window_rows + 1)), law.pmf(window)
    tied = np.isclose(likely, observed, rtol=1e-6, atol=0)
    return float(likely[(likely < observed) & ~tied].sum() + likely[tied].sum() / 2)


def test_the_exact_test_is_fishers_but_for_half_of_what_was_observed() -> None:
    fisher = stats.fisher_exact([[40, 9960], [12, 988]]).pvalue
    observed = stats.hypergeom(11_000, 52, 1000).pmf(12)
    assert exact_test(40, 12, 10_000, 1000) == pytest.approx(fisher - observed / 2, rel=1e-6)


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_the_exact_test_equals_scipy(reference_rows: int, window_rows: int, data: st.DataObject) -> None:
    reference = data.draw(st.integers(0, reference_rows))
    window = data.draw(st.integers(0, window_rows))
    found = exact_test(reference, window, reference_rows, window_rows)
    expected = mid_p(reference, window, reference_rows, window_rows)
    assert found == pytest.approx(expected if 0 < reference + window < reference_rows + window_rows else 1, rel=1e-5)


def test_the_exact_test_of_a_billion_rows() -> None:
    assert exact_test(10_000_000, 1_010_000, 1_000_000_000, 100_000_000) < 1e-15
    assert exact_test(10_000_000, 1_000_000, 1_000_000_000, 100_000_000) == pytest.approx(1, abs=5e-3)
    assert exact_test(500_000_000, 0, 1_000_000_000, 100_000_000) == 0


# Groups.


def test_bins_of_a_continuous_number_are_never_taken_for_rare() -> None:
    # About five rows to be expected in each bin, so that chance puts many below in the window and others above.
    for rows, groups in ((500, 100), (450, 50)):
        reference, window = continuous(rows, rows, 20)
        for sides in zip(reference, window, strict=True):
            made = group_neighbours(*sides)
            assert (made.rare_reference, made.rare_window) == (0, 0)
            assert groups * 0.9 <= made.reference.size <= groups * 1.1


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=40))
def test_groups_lose_no_row_and_are_large_enough(pairs: list[tuple[int, int]]) -> None:
    reference, window = np.array(pairs).T
    for group in (group_neighbours, group_categories):
        made = group(reference, window)
        assert made.reference.sum() + made.rare_reference == reference.sum()
        assert made.window.sum() + made.rare_window == window.sum()
        share = min(reference.sum(), window.sum()) / max(reference.sum() + window.sum(), 1)
        assert made.reference.size <= reference.size
        if group is group_categories:
            assert ((made.reference + made.window) * share >= FEWEST).all()


def test_a_new_value_beside_a_constant_is_tested_exactly() -> None:
    comparison = compare([3.0] * 10_000, [3.0] * 998 + [4.0] * 2)
    (answers,) = answer_all([comparison])
    assert answers == {"values": pytest.approx(mid_p(0, 2, 10_000, 1000))}


# Questions.


def test_what_has_no_answer_is_not_asked() -> None:
    assert answer_all([compare([3.0] * 900, [3.0] * 500)]) == [{}]
    assert answer_all([compare([None] * 900, [None] * 500)]) == [{}]
    assert set(answer_all([compare(["a", "b"] * 500, ["b", None] * 300, "category")])[0]) == {"values", "missing"}
    assert set(answer_all([compare([None] * 900, [1.0] * 500)])[0]) == {"missing"}


def test_each_question_is_asked_by_itself() -> None:
    letters = ["a", "b"] * 500
    (missing,) = answer_all([compare(letters, ["a", "b", None] * 200, "category")])
    assert missing["missing"] < 1e-30
    assert missing["values"] > 0.9
    (unseen,) = answer_all([compare(letters, ["a", "b", "new"] * 200, "category")])
    assert unseen["unseen"] < 1e-30
    assert unseen["values"] > 0.9


def test_categories_that_the_reference_saw_once_do_not_make_new_ones_drift() -> None:
    rng = np.random.default_rng(6)
    found = []
    for _ in range(60):
        names = np.array([f"id-{k}" for k in (rng.pareto(0.8, 3000) * 20).astype(int)])
        (answers,) = answer_all([compare(names[:2000].tolist(), names[2000:].tolist(), "category")])
        assert set(answers) == {"values", "unseen"}
        found.append((answers["values"], answers["unseen"]))
    assert np.mean(np.array(found) <= 0.05, axis=0).max() <= 0.05 + 3 * np.sqrt(0.05 / 60)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6) | st.none() | st.integers(-3, 3).map(float), max_size=300), st.integers(0, 9))
def test_every_answer_is_a_probability(values: list[float | None], seed: int) -> None:
    window = np.random.default_rng(seed).normal(size=50)
    for answers in answer_all([compare(values, window), compare(window, values)]):
        assert all(0 <= p_value <= 1 for p_value in answers.values())


# Many questions.


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_equal_weights_are_benjamini_and_hochberg(p_values: list[float]) -> None:
    found = adjusted(np.array(p_values), np.ones(len(p_values)))
    assert found == pytest.approx(stats.false_discovery_control(p_values, method="bh"))


def test_weights_move_the_budget_between_features() -> None:
    p_values = np.array([0.01, 0.03, 0.5, 0.001])
    assert adjusted(p_values, np.array([1, 1, 2, 0]))[3] == 1
    heavy = adjusted(p_values, np.array([3.0, 0.5, 0.25, 0.25]))
    assert heavy.tolist() == pytest.approx([0.008, 0.08, 1, 0.008])
    assert adjusted(p_values, np.array([2.0, 2, 2, 2])).tolist() == adjusted(p_values, np.ones(4)).tolist()
    assert adjusted(p_values, np.zeros(4)).tolist() == [1, 1, 1, 1]
    assert adjusted(np.array([]), np.array([])).size == 0


def test_the_cauchy_combination_is_small_when_one_is_and_uniform_of_uniform_ones() -> None:
    assert cauchy_combination([1e-12, 0.9]) == pytest.approx(2e-12, rel=1e-6)
    assert cauchy_combination([1.0, 1e-100]) < 1e-99
    pairs = np.random.default_rng(5).random((5000, 2))
    for level in (0.3, 0.05, 0.01):
        assert_level(np.array([cauchy_combination(pair.tolist()) for pair in pairs]), level)
