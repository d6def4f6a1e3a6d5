"""The bin that a guide table finds is the one that a search finds, whatever the edges and the numbers."""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.drift.bins import Floats, fit_bins
from flywheel.drift.guide_table import GuideTable

LARGEST = sys.float_info.max
finite = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 2.3e-308, 1.0, 1e16, LARGEST, -LARGEST]),
    st.integers(-5, 5).map(float),
)
edge_lists = st.lists(finite, max_size=40).map(lambda values: sorted({value + 0.0 for value in values}))


def searched(edges: list[float], numbers: Floats) -> list[int]:
    is_number = np.isfinite(numbers)
    return np.where(is_number, np.searchsorted(edges, numbers, side="left"), len(edges) + 1).tolist()


def around(edges: list[float]) -> Floats:
    """The edges, and the next numbers below and above each."""
    at = np.array(edges, dtype=np.float64)
    with np.errstate(over="ignore"):
        return np.concatenate([at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf)])


@settings(deadline=None, max_examples=400)
@given(edge_lists, st.lists(st.one_of(st.floats(), finite), max_size=40))
def test_every_number_is_in_the_bin_that_a_search_finds(edges: list[float], values: list[float]) -> None:
    numbers = np.concatenate([np.array(values, dtype=np.float64), around(edges)])
    table = GuideTable(edges)
    assert table.buckets(pl.Series(numbers)).tolist() == searched(edges, numbers)


@pytest.mark.parametrize("spread", [0.1, 2.0, 8.0, 300.0])
def test_edges_however_crowded(spread: float) -> None:
    """The wider the lognormal, the more of its percentiles are in the first cell."""
    values = np.exp(np.clip(spread * np.random.default_rng(1).normal(size=5_000), -700, 700))
    edges = fit_bins(values).edges
    numbers = np.concatenate([values, -values, around(edges)])
    assert GuideTable(edges).buckets(pl.Series(numbers)).tolist() == searched(edges, numbers)


def test_a_column_in_pieces_of_any_length_is_counted_once() -> None:
    rng = np.random.default_rng(2)
    pieces = [rng.normal(size=size) for size in (1, 40_000, 0, 32_768, 7)]
    pieces[1][::100] = np.nan
    edges = [-1.0, 0.0, 1.5]
    column = pl.concat([pl.Series(piece).fill_nan(None) for piece in pieces], rechunk=False)
    expected = searched(edges, np.concatenate(pieces))
    table = GuideTable(edges)
    assert table.buckets(column).tolist() == expected
    assert table.count(column).tolist() == np.bincount(expected, minlength=5).tolist()
    assert table.count(column.clear()).tolist() == [0] * 5
