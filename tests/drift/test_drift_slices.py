"""Slices: counted exactly, asked within the one budget, and named where they drift."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.check import Findings, check_window
from flywheel.drift.measured import Measured
from flywheel.drift.picture import histogram_text
from flywheel.drift.profile import PROFILE_SCHEMA, merge, profile
from flywheel.drift.slices import LONGEST_VALUE, MOST_VALUES, CategorySlices, NumberSlices, fit_slices
from flywheel.manifest.drift import DriftConfig

CARRIER, DISTANCE = Measured("carrier", "category"), Measured("distance", "numeric")
MEASURED = [CARRIER, DISTANCE, Measured("delay", "numeric"), Measured("prediction.score", "numeric")]
SLICED = DriftConfig(slices=["carrier"])
SHARES = {"UA": 0.3, "B6": 0.25, "EV": 0.2, "DL": 0.2, "HA": 0.05}
SCHEMA = pl.Schema(
    {
        "carrier": pl.String,
        "distance": pl.Float64,
        "delay": pl.Float64,
        "prediction": pl.Struct({"score": pl.Float64}),
    }
)

numbers = st.one_of(st.none(), st.floats(), st.integers(-3, 3).map(float))
names = st.one_of(st.none(), st.sampled_from(["UA", "AA", "", "é", "a | b", "x" * 100]))
records = st.lists(st.tuples(names, numbers, numbers, numbers), max_size=80)


def frame(rows: list) -> pl.DataFrame:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    columns[3] = [{"score": score} for score in columns[3]]
    return pl.DataFrame(dict(zip(SCHEMA, columns, strict=True)), schema=SCHEMA)


def flights(rows: int, seed: int, late: str | None = None, shift: float = 0.0) -> pl.DataFrame:
    """Flights of five carriers, whose delays follow the carrier; those of ``late`` (or all) are late by ``shift``."""
    rng = np.random.default_rng(seed)
    carrier = rng.choice(list(SHARES), rows, p=list(SHARES.values()))
    usual = pl.Series(carrier).replace_strict(dict(zip(SHARES, range(5), strict=True))).to_numpy() / 5
    is_late = np.full(rows, True) if late is None else carrier == late
    return pl.DataFrame(
        {
            "carrier": carrier,
            "distance": rng.gamma(2, 500, rows),
            "delay": rng.normal(usual, 1) + shift * is_late,
            "prediction": pl.DataFrame({"score": rng.random(rows)}).to_struct(),
        }
    )


def baseline_of(rows: pl.DataFrame, *slices: Measured) -> Baseline:
    return fit_baseline(rows, MEASURED, "january", slices=slices or [CARRIER])


@pytest.fixture(scope="module")
def january() -> Baseline:
    return baseline_of(flights(20_000, seed=0), CARRIER, DISTANCE)


def check(baseline: Baseline, window: pl.DataFrame, config: DriftConfig = SLICED) -> Findings:
    return check_window(baseline, profile(window, baseline), window.height, config)


# Counts.


@settings(deadline=None, max_examples=60)
@given(records, records, st.lists(st.integers(0, 80), max_size=3))
def test_slices_of_merged_profiles_are_a_scan_of_their_rows(reference: list, window: list, cuts: list[int]) -> None:
    baseline = baseline_of(frame(reference), CARRIER, DISTANCE)
    rows = frame(window)
    bounds = [0, *sorted(min(cut, len(window)) for cut in cuts), len(window)]
    merged = merge([profile(rows.slice(start, stop - start), baseline) for start, stop in pairwise(bounds)])
    assert_frame_equal(merged, merge([profile(rows, baseline)]))
    plain = baseline.model_copy(update={"sliced": []})
    for each in baseline.sliced:
        found, places = each.tables_of(merged), each.by.places(rows)
        assert each.by.feature not in found
        for place in range(len(each.by.names)):
            own = profile(rows.filter(pl.Series(places == place)), plain)
            for feature, counts in found.items():
                assert counts[place].tolist() == own.filter(pl.col("feature") == feature)["count"].to_list()


def test_the_reference_is_counted_as_a_profile_is(january: Baseline) -> None:
    counts = profile(flights(20_000, seed=0), january)
    for each in january.sliced:
        for feature, found in each.tables_of(counts).items():
            assert (found == each.tables[feature]).all()
    assert Baseline.from_json(january.to_json()) == january


def test_without_slices_everything_is_as_before() -> None:
    rows = flights(1000, seed=0)
    baseline = fit_baseline(rows, MEASURED, "b")
    found = profile(rows, baseline)
    assert found.height == sum(len(feature.counts) for feature in baseline.features.values())
    assert found["slice"].null_count() == found.height
    assert "sliced" not in baseline.to_json(), "older versions still read it"


def test_empty_counts_of_slices_are_no_lines(january: Baseline) -> None:
    found = profile(flights(50, seed=1), january)
    slices = found.filter(pl.col("slice").is_not_null())
    assert slices["count"].min() == 1
    assert slices.height <= 2 * 3 * 50
    assert profile(flights(0, seed=1), january)["slice"].null_count() == found.height - slices.height


# What the slices are.


def sliced(values: list, kind: str = "category") -> CategorySlices | NumberSlices | None:
    dtype = pl.String if kind == "category" else pl.Float64
    return fit_slices(Measured("x", kind), pl.DataFrame({"x": pl.Series(values, dtype=dtype)}))  # type: ignore[arg-type]


def test_a_category_is_sliced_by_its_most_frequent_values() -> None:
    values = [f"v{k:02}" for k in range(30) for _ in range(40 - k)]
    found = sliced(values)
    assert isinstance(found, CategorySlices)
    assert found.values == [f"v{k:02}" for k in range(MOST_VALUES)]
    assert found.places(pl.DataFrame({"x": ["v01", "v29", None, "new"]})).tolist() == [1, -1, -1, -1]


def test_a_number_is_sliced_by_its_quartiles() -> None:
    found = sliced([float(k) for k in range(1, 1001)], "numeric")
    assert found is not None
    assert found.names == ["x ≤ 250", "250 < x ≤ 500", "500 < x ≤ 750", "x > 750"]
    rows = pl.DataFrame({"x": [250.0, 250.1, 750.0, 1e300, None, float("nan"), float("inf")]})
    assert found.places(rows).tolist() == [0, 1, 2, 3, -1, -1, -1]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([0.0] * 60 + [1.0] * 30 + [2.0] * 10, ["x ≤ 0", "0 < x ≤ 1", "x > 1"]),
        ([0.0, 1.0] * 50, ["x ≤ 0", "x > 0"]),
        ([1234567.0, 1234568.0] * 50, ["x ≤ 1234567", "x > 1234567"]),
        ([3.0] * 100, None),
        ([None, float("nan")], None),
        ([], None),
    ],
)
def test_ties_make_fewer_slices(values: list, names: list[str] | None) -> None:
    found = sliced(values, "numeric")
    assert (found and found.names) == names


def test_a_slice_that_would_be_everything_is_none() -> None:
    assert sliced(["a"] * 10) is None
    assert sliced(["a"] * 10 + [None]) is not None
    assert sliced([None]) is None


def test_text_that_cannot_be_shown_is_no_slice() -> None:
    kept = ["<b>", "a | b", "[x](http://y)", "carrier = AA", "é" * LONGEST_VALUE]
    found = sliced([*kept, "x" * (LONGEST_VALUE + 1), "", "two\nlines", "\x1b[31mred", "\u202eback"] * 3)
    assert isinstance(found, CategorySlices)
    assert sorted(found.values) == sorted(kept)
    assert sliced(["\n", "\x00"]) is None


# What a check finds.


@pytest.mark.parametrize("seed", range(5))
def test_a_shift_in_one_slice_of_a_twentieth_is_found_and_named(january: Baseline, seed: int) -> None:
    window = flights(3000, seed=100 + seed, late="HA", shift=0.7)
    findings = check(january, window)
    assert findings.outcome == "drift"
    first = findings.features[0]
    assert (first.feature, first.slice) == ("delay", "carrier = HA")
    assert first.share == pytest.approx(0.05, abs=0.02)
    assert first.size > 0.2
    assert "1 of 4 features drifted, 1 of them in slices only" in findings.reason
    assert "; most: values of delay where carrier = HA (" in findings.reason
    assert "calls this drift" in findings.reason
    assert check(january, window, DriftConfig()).outcome == "no_drift", "the whole does not show it"


def test_slices_cost_the_whole_little(january: Baseline) -> None:
    window = flights(2000, seed=1, shift=0.2)
    whole = {each.feature: each for each in check(january, window, DriftConfig()).features}
    found = {each.feature: each for each in check(january, window).features if each.slice is None}
    for name, finding in found.items():
        assert finding.adjusted_p is not None
        assert finding.adjusted_p <= 2.001 * (whole[name].adjusted_p or 0)
        assert finding.measures == whole[name].measures


def test_where_everything_drifts_the_whole_is_named(january: Baseline) -> None:
    findings = check(january, flights(10_000, seed=1, shift=0.5))
    assert (findings.features[0].feature, findings.features[0].slice) == ("delay", None)
    assert ", most where " not in findings.reason
    assert "only" not in findings.reason


def test_where_a_slice_drives_the_whole_it_is_named_with_it(january: Baseline) -> None:
    findings = check(january, flights(10_000, seed=1, late="DL", shift=2.0))
    assert findings.features[0].title == "delay"
    assert findings.features[1].title == "delay where carrier = DL"
    assert "most: values of delay, p = " in findings.reason
    assert ", most where carrier = DL (psi " in findings.reason


def test_slices_by_a_number(january: Baseline) -> None:
    window = flights(3000, seed=2)
    window = window.with_columns(
        delay=pl.when((pl.col("distance") > 1350) & (pl.col("delay") > 1)).then(-1.0).otherwise("delay")
    )
    findings = check(january, window, DriftConfig(slices=["distance"]))
    slices = [each for each in findings.features if each.slice is not None]
    assert slices[0].feature == "delay"
    assert slices[0].slice is not None
    assert slices[0].slice.startswith("distance > ")
    assert slices[0].share == pytest.approx(0.25, abs=0.05)


def test_a_check_without_drift_keeps_its_level_over_all_slices() -> None:
    """2,500 checks are in docs/drift-measures.md; these are as many as fit in a test."""
    alarms = 0
    for stream in range(6):
        baseline = baseline_of(flights(4000, seed=1000 + stream), CARRIER, DISTANCE)
        config = DriftConfig(slices=["carrier", "distance"])
        windows = [flights(800, seed=100 * stream + each) for each in range(10)]
        alarms += sum(
            check_window(baseline, profile(window, baseline), 800, config, alpha=0.1).outcome == "drift"
            for window in windows
        )
    assert alarms <= 6 + 3 * np.sqrt(6)


def test_the_severity_is_that_of_the_change_over_all_rows(january: Baseline) -> None:
    window = flights(10_000, seed=1, late="HA", shift=5.0)
    finding = next(each for each in check(january, window).features if each.slice == "carrier = HA")
    assert finding.size > 1, "critical, were it all of the rows"
    assert finding.severity == "medium"
    all_of_them = check(january, flights(10_000, seed=1, late="UA", shift=5.0))
    assert {each.slice: each.severity for each in all_of_them.features}["carrier = UA"] == "critical"


def test_thresholds_alone_leave_slices_to_the_budget(january: Baseline) -> None:
    alone = DriftConfig(thresholds={"psi": 0.25}, slices=["carrier"])
    quiet = [check(january, flights(600, seed=seed), alone) for seed in range(10)]
    assert [each.outcome for each in quiet].count("drift") <= 1, "psi of 30 rows is above 0.25 without any drift"
    findings = check(january, flights(5000, seed=7, late="HA", shift=1.0), alone)
    assert (findings.outcome, findings.features[0].slice) == ("drift", "carrier = HA")
    assert "calls this drift" in findings.reason
    assert "would have" not in findings.reason


def test_with_both_a_slice_must_pass_both(january: Baseline) -> None:
    window = flights(5000, seed=7, late="HA", shift=1.0)
    for threshold, outcome in ((0.25, "drift"), (10.0, "no_drift")):
        both = DriftConfig(thresholds={"psi": threshold}, false_alarms="1 per 30d", slices=["carrier"])
        assert check(january, window, both).outcome == outcome


def test_a_feature_without_weight_is_not_acted_on_in_slices_either(january: Baseline) -> None:
    window = flights(5000, seed=7, late="HA", shift=2.0)
    assert check(january, window, DriftConfig(slices=["carrier"], importance={"delay": 0})).outcome == "no_drift"
    all_zero = DriftConfig(slices=["carrier"], importance={each.name: 0 for each in MEASURED})
    assert check(january, window, all_zero).outcome == "no_drift"


def test_a_slice_with_too_few_rows_of_reference_or_window_is_not_asked() -> None:
    baseline = baseline_of(flights(1000, seed=0))
    window = flights(4000, seed=1, late="HA", shift=5.0)
    asked = check(baseline, window, DriftConfig(slices=["carrier"], min_rows=30))
    assert "carrier = HA" in {each.slice for each in asked.features}
    few = check(baseline, window, DriftConfig(slices=["carrier"], min_rows=300))
    assert "carrier = HA" not in {each.slice for each in few.features}
    others = window.filter(pl.col("carrier") != "HA")
    rare = pl.concat([others, window.filter(pl.col("carrier") == "HA").head(10)])
    assert "carrier = HA" not in {each.slice for each in check(baseline, rare).features}


def test_slices_that_the_baseline_has_not_are_told(january: Baseline) -> None:
    findings = check(january, flights(1000, seed=1), DriftConfig(slices=["carrier", "airport"]))
    assert findings.outcome == "no_drift"
    assert findings.reason.endswith(
        "; no slices by airport: baseline january has none, the next retrain makes them of what has two values"
    )


def test_slices_that_the_manifest_no_longer_names_are_left_out(january: Baseline) -> None:
    window = flights(5000, seed=7, late="HA", shift=1.0)
    assert check(january, window, DriftConfig(slices=["distance"])).outcome == "no_drift"


def test_many_slices_are_few_findings(january: Baseline) -> None:
    findings = check(
        january, flights(20_000, seed=1, late="UA", shift=4.0), DriftConfig(slices=["carrier", "distance"])
    )
    slices = [each.feature for each in findings.features if each.slice is not None]
    assert slices
    assert max(slices.count(name) for name in slices) <= 3
    assert sum(each.slice is None for each in findings.features) == len(MEASURED)


def test_categories_in_a_slice_that_chance_chose_are_no_drift() -> None:
    """Values that are rare in the whole are rarer in a slice; what is unseen is judged by what occurs once there."""
    alarms = 0
    for stream in range(15):
        rng = np.random.default_rng(stream)

        def drawn(rows: int, rng: np.random.Generator = rng) -> pl.DataFrame:
            return pl.DataFrame(
                {
                    "group": rng.choice(["a", "b", "c"], rows),
                    "code": [f"k{k}" for k in np.minimum(rng.zipf(1.5, rows), 5000)],
                }
            )

        measured = [Measured("code", "category")]
        baseline = fit_baseline(drawn(6000), measured, "b", slices=[Measured("group", "category")])
        for _ in range(4):
            window = drawn(1500)
            counts = profile(window, baseline)
            alarms += check_window(baseline, counts, 1500, DriftConfig(slices=["group"]), 0.1).outcome == "drift"
    assert alarms <= 6 + 3 * np.sqrt(6)


def test_a_slice_is_drawn_beside_its_own_reference(january: Baseline) -> None:
    window = flights(3000, seed=7, late="HA", shift=0.7)
    found = [each for each in check(january, window).features if each.slice is not None]
    drawn = histogram_text(january, profile(window, january), found[:1])
    assert drawn.startswith("delay where carrier = HA  (psi ")
    assert f"(psi {found[0].measures['psi']:.3f})" in drawn


def test_the_profile_of_another_baseline_with_slices_is_merged_like_any(january: Baseline) -> None:
    one = profile(flights(500, seed=1), january)
    stored = pl.concat([one.with_columns(batch_id=pl.lit(number)) for number in (1, 2, 3)])
    assert_frame_equal(merge([stored]), merge([one, one, one]))
    assert merge([stored]).schema == PROFILE_SCHEMA
