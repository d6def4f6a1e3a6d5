"""Histograms: drawn from counts alone, for every kind of feature."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from flywheel.drift.bars import Bars, bars_of
from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.finding import FeatureFinding
from flywheel.drift.measured import Kind, Measured
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.picture import histogram_png, histogram_text
from flywheel.drift.profile import profile

RNG = np.random.default_rng(0)
CASES: dict[str, tuple[list, list, Kind]] = {
    "smooth": (RNG.normal(size=2000).tolist(), RNG.normal(1, 1, 900).tolist(), "numeric"),
    "missing": ([*RNG.normal(size=2000).tolist(), None], [None] * 50, "numeric"),
    "few values": (RNG.integers(0, 5, 900).astype(float).tolist(), [1.0, 7.0] * 50, "numeric"),
    "mostly zero": ([0.0] * 800 + RNG.random(200).tolist(), [0.0] * 10 + [5.0] * 10, "numeric"),
    "constant": ([3.0] * 100, [2.0] * 100, "numeric"),
    "one value": ([3.0], [2.0], "numeric"),
    "no values": ([None, None], [2.0], "numeric"),
    "nothing": ([], [], "numeric"),
    "huge": ([-1.7e308, 0.0, 1.7e308] * 99, [1e300], "numeric"),
    "category": (["UA"] * 50 + ["AA"] * 20, ["UA", "new", None], "category"),
    "many categories": ([f"airport {k}" for k in range(200)] * 3, ["airport 199", "airport 0"], "category"),
    "no category": ([], ["a"], "category"),
}


def baseline_and_counts(reference: list, window: list, kind: Kind) -> tuple[Baseline, pl.DataFrame]:
    dtype = pl.Float64 if kind == "numeric" else pl.String
    baseline = fit_baseline(pl.DataFrame({"x": pl.Series(reference, dtype=dtype)}), [Measured("x", kind)], "b")
    return baseline, profile(pl.DataFrame({"x": pl.Series(window, dtype=dtype)}), baseline)


def bars(reference: list, window: list, kind: Kind) -> Bars:
    feature = baseline_and_counts(reference, window, kind)[0].features["x"]
    counts = feature.count(pl.Series(window, dtype=pl.Float64 if kind == "numeric" else pl.String))
    return bars_of(Comparison(feature, counts))


def found(feature: str) -> FeatureFinding:
    return FeatureFinding(feature=feature, kind="numeric", measures={})


@pytest.mark.parametrize("case", CASES)
def test_bars_hold_every_row_once(case: str) -> None:
    reference, window, kind = CASES[case]
    found = bars(reference, window, kind)
    assert len(found.labels) == len(found.reference) == len(found.window)
    assert len(set(found.labels)) == len(found.labels)
    assert found.reference.sum() == pytest.approx(1 if reference else 0)
    assert found.window.sum() == pytest.approx(1 if window else 0)


def test_few_distinct_numbers_get_a_bar_each() -> None:
    found = bars(*CASES["few values"])
    assert found.labels == ["0", "1", "2", "3", "4", "other values"]
    assert found.window.tolist() == [0, 0.5, 0, 0, 0, 0.5]


@pytest.mark.parametrize("case", CASES)
def test_pictures_are_drawn_whatever_the_feature(case: str) -> None:
    baseline, counts = baseline_and_counts(*CASES[case])
    png = histogram_png(baseline, counts, [found("x")])
    assert png.startswith(b"\x89PNG")
    assert png == histogram_png(baseline, counts, [found("x")])
    assert max(map(len, histogram_text(baseline, counts, [found("x")]).splitlines())) <= 80


def test_no_feature_and_unknown_features_draw_nothing() -> None:
    baseline, counts = baseline_and_counts(*CASES["smooth"])
    assert histogram_png(baseline, counts, []).startswith(b"\x89PNG")
    assert histogram_text(baseline, counts, [found("y")]) == ""


def test_text_for_the_terminal() -> None:
    baseline, counts = baseline_and_counts(
        ["UA"] * 60 + ["AA"] * 40, ["UA"] * 40 + ["AA"] * 40 + ["new"] * 20, "category"
    )
    assert histogram_text(baseline, counts, [found("x")]).splitlines() == [
        "x  (psi 1.600)",
        "        reference                        window",
        "    UA   60.0% ████████████████████████   40.0% ████████████████",
        "    AA   40.0% ████████████████           40.0% ████████████████",
        "unseen    0.0%                            20.0% ████████",
    ]
