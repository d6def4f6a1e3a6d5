"""A window's numbers from merged profiles are those of a full scan, exactly."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from flywheel.drift.baseline import Baseline, CategoryBaseline, NumericBaseline, fit_baseline
from flywheel.drift.measured import Measured
from flywheel.drift.measures import measure_all
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.profile import PROFILE_SCHEMA, counts_by_feature, merge, profile
from flywheel.errors import FlywheelError

MEASURED = [Measured("speed", "numeric"), Measured("carrier", "category"), Measured("prediction.score", "numeric")]
numbers = st.one_of(st.none(), st.floats(), st.integers(-3, 3).map(float))
names = st.one_of(st.none(), st.sampled_from(["UA", "AA", "B6", "", "missing", "é"]))
records = st.lists(st.tuples(numbers, names, numbers), max_size=120)
SCHEMA = pl.Schema({"speed": pl.Float64, "carrier": pl.String, "prediction": pl.Struct({"score": pl.Float64})})


def frame(rows: list[tuple[float | None, str | None, float | None]]) -> pl.DataFrame:
    columns = [
        [speed for speed, _, _ in rows],
        [carrier for _, carrier, _ in rows],
        [{"score": score} for _, _, score in rows],
    ]
    return pl.DataFrame(dict(zip(SCHEMA, columns, strict=True)), schema=SCHEMA)


@settings(deadline=None, max_examples=80)
@given(records, records, st.lists(st.integers(0, 120), max_size=4))
def test_merged_profiles_equal_a_scan_of_all_rows(reference: list, window: list, cuts: list[int]) -> None:
    baseline = fit_baseline(frame(reference), MEASURED, "b")
    bounds = [0, *sorted(min(cut, len(window)) for cut in cuts), len(window)]
    parts = [frame(window[start:stop]) for start, stop in pairwise(bounds)]
    merged = merge([profile(part, baseline) for part in parts])
    whole = profile(frame(window), baseline)
    assert_frame_equal(merged, merge([whole]))
    from_parts, from_scan = counts_by_feature(merged, baseline), counts_by_feature(whole, baseline)
    for name, feature in baseline.features.items():
        parts_say = measure_all(Comparison(feature, from_parts[name]))
        assert parts_say == measure_all(Comparison(feature, from_scan[name]))
        assert all(value is None or math.isfinite(value) for value in parts_say.values())
        assert from_scan[name].sum() == len(window)


@settings(deadline=None, max_examples=80)
@given(records, records)
def test_counts_equal_counting_value_by_value(reference: list, window: list) -> None:
    baseline = fit_baseline(frame(reference), MEASURED, "b")
    counts = counts_by_feature(profile(frame(window), baseline), baseline)
    speed, carrier = baseline.features["speed"], baseline.features["carrier"]
    assert isinstance(speed, NumericBaseline)
    assert isinstance(carrier, CategoryBaseline)
    by_bin = Counter(
        len(speed.counts) - 1
        if value is None or not math.isfinite(value)
        else sum(value > edge for edge in speed.edges)
        for value, _, _ in window
    )
    assert counts["speed"].tolist() == [by_bin[bucket] for bucket in range(len(speed.counts))]
    by_name = Counter(name for _, name, _ in window)
    known = [by_name[name] for name in carrier.categories]
    unseen = sum(rows for name, rows in by_name.items() if name is not None and name not in carrier.categories)
    assert counts["carrier"].tolist() == [*known, 0, unseen, by_name[None]]


def test_a_baseline_counts_its_own_rows_as_a_profile_does() -> None:
    rng = np.random.default_rng(3)
    rows = frame(list(zip(rng.normal(size=500), rng.choice(["a", "b"], 500), rng.random(500), strict=True)))
    baseline = fit_baseline(rows, MEASURED, "b")
    counts = counts_by_feature(profile(rows, baseline), baseline)
    assert {name: found.tolist() for name, found in counts.items()} == {
        name: feature.counts for name, feature in baseline.features.items()
    }


def test_slices_of_a_long_column_add_up() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=600_000)
    baseline = fit_baseline(pl.DataFrame({"x": values[:5000]}), [Measured("x", "numeric")], "b")
    feature = baseline.features["x"]
    assert isinstance(feature, NumericBaseline)
    expected = np.bincount(np.searchsorted(feature.edges, values, side="left"), minlength=len(feature.edges) + 1)
    assert feature.count(pl.Series(values)).tolist() == [*expected.tolist(), 0]


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float32, pl.UInt8, pl.Boolean])
def test_numbers_of_any_type_are_measured(dtype: type[pl.DataType]) -> None:
    rows = pl.DataFrame({"x": pl.Series([0, 1, 1, None]).cast(dtype)})
    baseline = fit_baseline(rows, [Measured("x", "numeric")], "b")
    assert profile(rows, baseline).get_column("count").to_list() == baseline.features["x"].counts


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([True, False, True]),
        pl.Series(["a", "b", "a"], dtype=pl.Categorical),
        pl.Series(["a", "b", "a"], dtype=pl.Enum(["b", "a", "c"])),
        pl.Series([1, 2, 1]),
    ],
)
def test_categories_of_any_type_are_measured(values: pl.Series) -> None:
    baseline = fit_baseline(pl.DataFrame({"x": values}), [Measured("x", "category")], "b")
    feature = baseline.features["x"]
    assert isinstance(feature, CategoryBaseline)
    assert feature.categories == [str(values[0]).lower(), str(values[1]).lower()]
    assert feature.counts == [2, 1, 0, 0, 0]


def test_rows_without_a_column_count_as_missing() -> None:
    baseline = fit_baseline(frame([(1.0, "UA", 0.5)] * 4), MEASURED, "b")
    counts = counts_by_feature(profile(pl.DataFrame({"carrier": ["UA", "AA"]}), baseline), baseline)
    assert counts["speed"].tolist()[-1] == 2
    assert counts["prediction.score"].tolist()[-1] == 2
    assert counts["carrier"].sum() == 2


def test_a_null_prediction_column_counts_as_missing() -> None:
    baseline = fit_baseline(frame([(1.0, "UA", 0.5)] * 4), MEASURED, "b")
    rows = frame([(1.0, "UA", 0.5)] * 3).with_columns(prediction=pl.lit(None))
    assert counts_by_feature(profile(rows, baseline), baseline)["prediction.score"].tolist()[-1] == 3


def test_features_named_like_our_own_columns_are_measured() -> None:
    rows = pl.DataFrame({"rows": ["a", "b"], "count": [1.0, 2.0], "value": ["x", "y"], "bin": [1, 2], "name": [3, 3]})
    measured = [Measured(name, "category" if name in {"rows", "value"} else "numeric") for name in rows.columns]
    baseline = fit_baseline(rows, measured, "b")
    counts = counts_by_feature(merge([profile(rows, baseline)]), baseline)
    assert all(found.sum() == 2 for found in counts.values())


def test_a_profile_has_one_line_for_each_bucket_in_a_fixed_schema() -> None:
    baseline = fit_baseline(frame([(1.0, "UA", 0.5)] * 4), MEASURED, "b")
    found = profile(frame([]), baseline)
    assert found.schema == PROFILE_SCHEMA
    assert found.height == sum(len(feature.counts) for feature in baseline.features.values())
    assert found.get_column("count").sum() == 0
    assert merge([]).schema == PROFILE_SCHEMA
    assert profile(frame([]), Baseline(id="b", rows=0, features={})).schema == PROFILE_SCHEMA


def test_merging_takes_many_batches_in_one_frame_with_other_columns() -> None:
    baseline = fit_baseline(frame([(1.0, "UA", 0.5)] * 4), MEASURED, "b")
    one = profile(frame([(2.0, "AA", None)]), baseline)
    stored = pl.concat([one.with_columns(batch_id=pl.lit(number)) for number in (1, 2, 3)])
    assert_frame_equal(merge([stored]), merge([one, one, one]))


def test_a_profile_of_another_baseline_is_refused() -> None:
    baseline = fit_baseline(frame([(1.0, "UA", 0.5)] * 4), MEASURED, "january")
    other = fit_baseline(frame([(float(x), "UA", 0.5) for x in range(100)]), MEASURED, "february")
    with pytest.raises(FlywheelError, match="the profile of 'speed' was not made on baseline 'january'"):
        counts_by_feature(profile(frame([]), other), baseline)
    with pytest.raises(FlywheelError, match="'height'"):
        counts_by_feature(pl.DataFrame({"slice": [None], "feature": ["height"], "bin": [0], "count": [1]}), baseline)


lines = st.tuples(
    st.sampled_from([None, "carrier = UA", ""]),
    st.sampled_from(["x", "y", "é"]),
    st.integers(0, 3),
    st.integers(0, 2**56),
)


@settings(deadline=None, max_examples=80)
@given(st.lists(lines, max_size=30), st.lists(lines, max_size=30))
def test_merging_sums_every_line_in_whatever_order_they_come(first: list, second: list) -> None:
    frames = [pl.DataFrame(found, schema=PROFILE_SCHEMA, orient="row") for found in (first, second)]
    sums: Counter[tuple[str | None, str, int]] = Counter()
    for part, feature, place, count in [*first, *second]:
        sums[part, feature, place] += count
    key = ["slice", "feature", "bin"]
    wanted = pl.DataFrame([(*line, count) for line, count in sums.items()], schema=PROFILE_SCHEMA, orient="row")
    assert_frame_equal(merge(frames), wanted.sort(key))


@pytest.mark.parametrize("place", [-1, 2**31 - 1])
def test_a_bin_that_no_baseline_has_is_refused(place: int) -> None:
    stored = pl.DataFrame([(None, "speed", 0, 1), (None, "speed", place, 1)], schema=PROFILE_SCHEMA, orient="row")
    with pytest.raises(FlywheelError, match="of which no baseline has so many"):
        merge([stored])
