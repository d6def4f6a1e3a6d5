"""The mean vectors of an embedding: their cosine distance as SciPy has it, a p-value that permutations agree with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.stats import chi2

from flywheel.drift.embedding import SMALLEST, mean_shift, tail_of_squares


def test_the_distance_is_scipys() -> None:
    random = np.random.default_rng(3)
    reference, window = random.normal(1, 1, (500, 16)), random.normal(0.7, 1, (200, 16))
    found = mean_shift(reference, window)
    assert found is not None
    assert found.distance == pytest.approx(cosine(reference.mean(axis=0), window.mean(axis=0)), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1])
def test_the_p_value_is_that_of_divisions_by_lot(shift: float) -> None:
    random = np.random.default_rng(5)
    scales = np.arange(1, 9) ** -0.5
    rows = np.concatenate((random.gamma(2, scales, (600, 8)), random.gamma(2, scales, (300, 8)) + shift * scales))
    found = mean_shift(rows[:600], rows[600:])
    assert found is not None
    total, lengths = rows.sum(axis=0), []
    for _ in range(4_000):
        chosen = rows[random.permutation(900)[:300]].sum(axis=0)
        lengths.append(np.sum((chosen / 300 - (total - chosen) / 600) ** 2))
    measured = np.sum((rows[600:].mean(axis=0) - rows[:600].mean(axis=0)) ** 2)
    by_lot = np.mean(np.array(lengths) >= measured)
    assert found.p_value == pytest.approx(by_lot, abs=4 * np.sqrt(by_lot * (1 - by_lot) / 4_000) + 0.005, rel=0.1)


def test_its_level_without_drift() -> None:
    """Components that go together, with heavy tails and many zeros: 99.9% of the binomial of 1,000 draws."""
    random = np.random.default_rng(11)

    def rows(number: int) -> np.ndarray:
        heavy, zeros = random.standard_t(4, (number, 3)), random.exponential(size=(number, 3))
        return np.column_stack((heavy, heavy[:, :1] + 1, np.where(random.random((number, 3)) < 0.6, 0, zeros)))

    found = [mean_shift(rows(1_000), rows(300)) for _ in range(1_000)]
    p_values = np.array([each.p_value for each in found if each is not None])
    assert 70 <= (p_values <= 0.1).sum() <= 133
    assert 3 <= (p_values <= 0.01).sum() <= 22


def test_a_turn_is_as_sure_as_its_rows_make_it() -> None:
    """A number of permutations would stop at one by that number."""
    random = np.random.default_rng(8)
    direction = random.normal(0, 1, 8)
    turned = mean_shift(
        direction + random.normal(0, 1, (4_000, 8)), np.roll(direction, 1) + random.normal(0, 1, (400, 8))
    )
    assert turned is not None
    assert SMALLEST <= turned.p_value < 1e-50


@pytest.mark.parametrize("size", [1, 2, 5, 64])
@pytest.mark.parametrize("p_value", [0.999, 0.5, 0.01, 1e-6, 1e-40])
def test_the_tail_is_that_of_chi_square_where_all_variances_are_equal(size: int, p_value: float) -> None:
    tail = tail_of_squares(np.full(size, 3.7), 3.7 * chi2.isf(p_value, size))
    assert tail == pytest.approx(p_value, rel=0.15)
    assert tail > 0.98 * p_value


def test_the_tail_of_very_different_variances() -> None:
    variances = np.array([1.0, 0.5, 0.2, 0.1] + [0.01] * 20)
    sums = (np.random.default_rng(2).normal(size=(200_000, 24)) ** 2) @ variances
    for share in (0.1, 0.5, 0.9, 0.99):
        assert tail_of_squares(variances, float(np.quantile(sums, share))) == pytest.approx(1 - share, rel=0.08)
    assert tail_of_squares(np.array([1.0, 1e-30, 0.0, -1e-18]), 1.0) == pytest.approx(chi2.sf(1, 1), rel=0.05)
    assert tail_of_squares(np.array([1.0, 1e-3]), 1e15) == SMALLEST


def test_what_has_no_mean_vector_or_no_direction() -> None:
    whole = np.ones((300, 2))
    assert mean_shift(whole, np.full((400, 2), np.nan)) is None
    assert mean_shift(np.empty((0, 2)), whole) is None
    gaps = np.concatenate((whole, np.tile([np.nan, 5.0], (300, 1)), np.tile([2.0, np.inf], (300, 1))))
    found = mean_shift(whole, gaps)
    assert found is not None, "rows that lack a component are left out"
    assert found.distance == pytest.approx(0)
    assert found.p_value == 1
    nowhere = mean_shift(whole, np.zeros((300, 2)))
    assert nowhere is not None
    assert np.isnan(nowhere.distance)


def test_numbers_of_any_size() -> None:
    random = np.random.default_rng(1)
    reference, window = random.normal(1, 1, (300, 4)), random.normal(1.2, 1, (300, 4))
    usual = mean_shift(reference, window)
    assert usual is not None
    for scale in (1e-200, 1e200, 1e307):
        found = mean_shift(reference * scale, window * scale)
        assert found is not None
        assert (found.distance, found.p_value) == pytest.approx((usual.distance, usual.p_value))
