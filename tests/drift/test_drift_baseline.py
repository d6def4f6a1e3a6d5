"""The baseline: fitted, frozen, stored and read back."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.drift.baseline import FREQUENT, KNOWN, Baseline, CategoryBaseline, NumericBaseline, fit_baseline
from flywheel.drift.measured import Measured
from flywheel.errors import FlywheelError

X = [Measured("x", "numeric")]
C = [Measured("c", "category")]


def numeric(values: list[float | None]) -> NumericBaseline:
    feature = fit_baseline(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}), X, "b").features["x"]
    assert isinstance(feature, NumericBaseline)
    return feature


def category(values: list[str | None]) -> CategoryBaseline:
    feature = fit_baseline(pl.DataFrame({"c": pl.Series(values, dtype=pl.String)}), C, "b").features["c"]
    assert isinstance(feature, CategoryBaseline)
    return feature


def test_it_comes_back_from_json_as_it_was() -> None:
    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"x": rng.normal(size=1000), "c": rng.choice(["a", "b", "ü"], 1000)})
    baseline = fit_baseline(rows, X + C, "flights-1", as_of=datetime(2013, 2, 1, tzinfo=UTC))
    assert Baseline.from_json(baseline.to_json()) == baseline
    assert Baseline.from_json(baseline.to_json().encode()) == baseline


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"id": "x", "rows": 1, "features": {"a": {"kind": "vector"}}}'])
def test_another_file_is_refused_with_what_is_wrong(text: str) -> None:
    with pytest.raises(FlywheelError, match="not a drift baseline"):
        Baseline.from_json(text)


def test_moments_are_those_of_the_finite_values() -> None:
    moments = numeric([1.0, 2.0, 4.0, None, float("nan"), float("inf")]).moments
    assert (moments.n, moments.min, moments.max) == (3, 1.0, 4.0)
    assert moments.mean == pytest.approx(7 / 3)
    assert moments.std == pytest.approx(np.std([1, 2, 4], ddof=1))


def test_moments_that_no_float_holds_are_none_and_still_stored() -> None:
    feature = numeric([1e308, 1e308, 1e308])
    assert feature.moments.mean is None
    assert NumericBaseline.model_validate_json(feature.model_dump_json()) == feature


@pytest.mark.parametrize("values", [[], [None, None], [float("nan")]])
def test_a_number_that_is_never_there_is_all_missing(values: list[float | None]) -> None:
    feature = numeric(values)
    assert feature.edges == []
    assert feature.counts == [0, len(values)]
    assert feature.moments.n == 0
    assert feature.moments.mean is None


@pytest.mark.parametrize("values", [[], [None, None]])
def test_a_category_that_is_never_there_is_all_missing(values: list[str | None]) -> None:
    feature = category(values)
    assert feature.categories == []
    assert feature.counts == [0, 0, len(values)]
    assert feature.count(pl.Series(["a", None])).tolist() == [0, 1, 1]


def test_an_all_null_column_without_a_type_is_all_missing() -> None:
    rows = pl.DataFrame({"x": [None, None], "c": [None, None]})
    features = fit_baseline(rows, X + C, "b").features
    assert features["x"].counts == [0, 2]
    assert features["c"].counts == [0, 0, 2]


def test_categories_are_the_most_frequent_and_ties_go_by_name() -> None:
    assert category(["b", "a", "c", "c", None]).categories == ["c", "a", "b"]


def test_rare_categories_are_one_bucket_and_new_ones_another() -> None:
    frequent = [f"f{k:03d}" for k in range(FREQUENT)]
    feature = category([*frequent, *frequent, "rare-1", "rare-2"])
    assert feature.categories == frequent
    assert feature.others == ["rare-1", "rare-2"]
    assert feature.counts[-3:] == [2, 0, 0]
    assert feature.count(pl.Series(["rare-2", "new", None, "f000"])).tolist()[-3:] == [1, 1, 1]


def test_what_is_too_rare_to_be_remembered_is_unseen_on_both_sides() -> None:
    ids = [f"id-{k:06d}" for k in range(KNOWN + 500)]
    feature = category(ids)
    assert feature.counts[-3:] == [KNOWN - FREQUENT, 500, 0]
    assert feature.count(pl.Series(ids)).tolist() == feature.counts


def test_a_column_that_the_reference_lacks_is_named() -> None:
    with pytest.raises(FlywheelError, match=r"no 'prediction\.score' in the reference of baseline 'b'; there is: x"):
        fit_baseline(pl.DataFrame({"x": [1.0]}), [*X, Measured("prediction.score", "numeric")], "b")


def test_the_prediction_may_come_from_rows_of_its_own() -> None:
    scored = pl.DataFrame({"prediction": [{"score": 0.25}, {"score": 0.5}]})
    baseline = fit_baseline(
        pl.DataFrame({"x": [1.0, 2.0, 3.0]}), [*X, Measured("prediction.score", "numeric")], "b", scored=scored
    )
    assert baseline.rows == 3
    assert sum(baseline.features["x"].counts) == 3
    assert sum(baseline.features["prediction.score"].counts) == 2


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(), max_size=60))
def test_every_edge_survives_json_to_the_last_bit(values: list[float]) -> None:
    feature = numeric([*values, 0.0, 0.0, -1.7976931348623157e308])
    assert NumericBaseline.model_validate_json(feature.model_dump_json()) == feature
