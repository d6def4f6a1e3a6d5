"""Bins come from the reference alone, and hold what they promise whatever its ties."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.drift.bins import Floats, fit_bins, is_point
from flywheel.drift.guide_table import GuideTable

finite = st.floats(allow_nan=False, allow_infinity=False)
references = st.one_of(
    st.lists(finite, max_size=300),
    st.lists(st.sampled_from([0.0, -1.0, 1.0, 2.5, 5e-324, -1.7976931348623157e308]), max_size=300),
    st.lists(st.integers(-20, 20).map(float), max_size=400),
).map(lambda values: np.array(values, dtype=np.float64))


@settings(deadline=None, max_examples=150)
@given(references)
def test_edges_grow_and_coarse_edges_are_among_them(values: Floats) -> None:
    bins = fit_bins(values)
    assert bins.edges == sorted(set(bins.edges))
    assert np.isfinite(bins.edges).all()
    assert bins.coarse == sorted(set(bins.coarse))
    assert all(0 <= position < len(bins.edges) for position in bins.coarse)
    assert len(bins.edges) <= 198
    assert len(bins.coarse) <= 18


@settings(deadline=None, max_examples=150)
@given(references)
def test_a_bin_of_many_values_holds_under_two_hundredths_of_the_reference(values: Floats) -> None:
    bins = fit_bins(values)
    counts = GuideTable(bins.edges).count(pl.Series(values, dtype=pl.Float64))[:-1]
    inside = counts[~is_point(np.array(bins.edges))]
    assert counts.sum() == values.size
    assert (inside <= max(2 * values.size / 100, values.size / 100 + 1)).all()


def test_distinct_values_give_ten_equal_coarse_bins_of_ten_fine_ones() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1000.0))
    bins = fit_bins(values)
    assert bins.edges == [10.0 * k - 1 for k in range(1, 100)]
    assert [bins.edges[position] for position in bins.coarse] == [100.0 * k - 1 for k in range(1, 10)]


@pytest.mark.parametrize("constant", [3.0, 0.0, -1e9, 1e308])
def test_a_constant_column_has_its_value_alone_in_a_bin(constant: float) -> None:
    bins = fit_bins(np.full(50, constant))
    assert bins.edges == [np.nextafter(constant, -np.inf), constant]
    assert bins.coarse == [0, 1]
    around = pl.Series([np.nextafter(constant, -np.inf), constant, constant, np.nextafter(constant, np.inf)])
    assert GuideTable(bins.edges).count(around).tolist() == [1, 2, 1, 0]


def test_zeros_that_fill_most_of_a_column_leave_bins_for_the_rest() -> None:
    values = np.concatenate([np.zeros(900), np.linspace(0.01, 1, 100)])
    bins = fit_bins(values)
    coarse = [bins.edges[position] for position in bins.coarse]
    assert coarse == [-5e-324, 0.0]
    assert len(bins.edges) == 2 + 9


def test_no_value_gives_one_bin_for_everything() -> None:
    assert fit_bins(np.array([], dtype=np.float64)).edges == []
    assert GuideTable([]).count(pl.Series([1.0, None])).tolist() == [1, 1]
