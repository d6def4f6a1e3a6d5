"""How long labels take: worked cases, the textbook's numbers, and what must hold for any data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.performance.delays import arrived_by, ever_labelled_by

DELAYS = st.lists(st.integers(0, 20), min_size=1, max_size=40).map(lambda values: np.array(values, dtype=float))


def test_right_truncation_by_hand() -> None:
    """Five labels; the two youngest predictions could have shown a delay of at most 2 and 3 hours.

    t=6: 1 of the 3 that are old enough; t=3: 1 of 3 (delays 1, 2, 3 of ages ≥ 3; the first is too young);
    t=2: 1 of 3 (delays 1, 1, 2, the last of ages ≥ 2).
    """
    delay = np.array([1.0, 6.0, 3.0, 1.0, 2.0])
    truncation = np.array([2.0, 9.0, 9.0, 3.0, 9.0])
    curve = arrived_by(delay, truncation)
    assert curve.ages.tolist() == [1, 2, 3, 6]
    # F(6)=1, F(3)=1-1/3, F(2)=F(3)(1-1/3), F(1)=F(2)(1-1/3)
    assert curve.probability.tolist() == pytest.approx([8 / 27, 4 / 9, 2 / 3, 1])


def test_kaplan_meier_as_in_the_textbook() -> None:
    """Weeks of remission under 6-MP (Freireich 1963), in every textbook of survival analysis."""
    weeks = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    curve = ever_labelled_by(np.array(weeks, dtype=float), np.arange(21) < 9)
    survival = dict(zip(curve.ages.astype(int), (1 - curve.probability).round(4), strict=True))
    assert survival == {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}


@given(DELAYS)
def test_without_truncation_it_is_the_empirical_distribution(delay: np.ndarray) -> None:
    curve = arrived_by(delay, np.full(delay.size, 99.0))
    assert curve.at(np.arange(22.0)).tolist() == pytest.approx([(delay <= age).mean() for age in range(22)])
    labelled = ever_labelled_by(delay, np.ones(delay.size, dtype=bool))
    assert labelled.at(np.arange(22.0)).tolist() == pytest.approx([(delay <= age).mean() for age in range(22)])


@given(DELAYS, st.data())
def test_it_is_a_distribution_and_weights_are_repetitions(delay: np.ndarray, data: st.DataObject) -> None:
    ages = st.lists(st.integers(0, 9), min_size=delay.size, max_size=delay.size)
    truncation = delay + np.array(data.draw(ages))
    times = np.array(data.draw(st.lists(st.integers(1, 3), min_size=delay.size, max_size=delay.size)))
    weighted = arrived_by(delay, truncation, times.astype(float))
    repeated = arrived_by(np.repeat(delay, times), np.repeat(truncation, times))
    assert weighted.probability == pytest.approx(repeated.probability)
    assert weighted.probability[-1] == 1
    assert (np.diff(weighted.probability) >= -1e-12).all()
    assert (weighted.probability >= 0).all()


def test_many_estimates_at_once() -> None:
    random = np.random.default_rng(0)
    delay = random.integers(0, 30, 200).astype(float)
    truncation = delay + random.integers(0, 30, 200)
    weights = random.standard_exponential((3, 200))
    together = arrived_by(delay, truncation, weights)
    for row, own in zip(together.at(np.arange(40.0)), weights, strict=True):
        assert row == pytest.approx(arrived_by(delay, truncation, own).at(np.arange(40.0)))


def test_what_truncation_hides_is_found_again() -> None:
    """Delays of a day on average, seen for at most two days on half of the rows: the histogram is 25% too quick."""
    random = np.random.default_rng(1)
    delay, age = random.exponential(24, 40_000), random.uniform(0, 400, 40_000)
    age[::2] = random.uniform(0, 48, 20_000)
    seen = delay <= age
    curve = arrived_by(delay[seen], age[seen])
    assert curve.at(np.array([24.0]))[0] == pytest.approx(1 - np.exp(-1), abs=0.01)
    assert (delay[seen] <= 24).mean() > 0.7
    labelled = ever_labelled_by(np.where(seen, delay, age), seen)
    assert labelled.at(np.array([24.0]))[0] == pytest.approx(1 - np.exp(-1), abs=0.01)
    assert labelled.age_of(0.5) == pytest.approx(24 * np.log(2), rel=0.03)
