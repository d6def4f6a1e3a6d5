"""The domain classifier sees what no single feature shows, names it, and keeps its level where nothing drifted."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from flywheel.drift.domain_classifier import LEAST_ROWS, separate
from flywheel.drift.measured import Measured

MEASURED = [Measured("a", "numeric"), Measured("b", "numeric"), Measured("c", "numeric"), Measured("kind", "category")]


def rows(seed: int, number: int, correlation: float = 0.0, missing: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    a, b, c = random.standard_normal((3, number))
    b = correlation * a + np.sqrt(1 - correlation**2) * b
    return pl.DataFrame(
        {
            "a": a, "b": b, "c": np.where(random.random(number) < missing, np.nan, c),
            "kind": random.choice(["x", "y", "z"], number),
            "sample_key": random.integers(-(2**62), 2**62, number),
        }
    )  # fmt: skip


def test_a_correlation_that_no_feature_shows_by_itself() -> None:
    found = separate(rows(1, 2000), rows(2, 2000, correlation=0.6), MEASURED)
    assert found is not None
    assert found.auc > 0.55
    assert 0 < found.p_value < 1e-6
    assert set(found.features) == {"a", "b"}, "and nothing else"


def test_the_same_rows_give_the_same_answer() -> None:
    assert separate(rows(1, 600), rows(2, 600), MEASURED) == separate(rows(1, 600), rows(2, 600), MEASURED)


def test_its_level_without_drift() -> None:
    found = [
        separate(rows(10 + seed, 400, missing=0.1), rows(90 + seed, 400, missing=0.1), MEASURED) for seed in range(30)
    ]
    p_values = np.array([each.p_value for each in found if each is not None])
    # 99.9% of the binomial: 30 x 0.1.
    assert p_values.size == 30
    assert (p_values < 0.1).sum() <= 9
    assert p_values.mean() == pytest.approx(0.5, abs=0.19)


def test_what_it_goes_by_is_told_only_where_it_tells_rows_apart() -> None:
    calm = separate(rows(1, 1000), rows(2, 1000), MEASURED)
    assert calm is not None
    assert calm.p_value > 0.05
    assert calm.features == []


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("x", [None] * 600, dtype=pl.Float64),
        pl.Series("x", [float("nan")] * 600),
        pl.Series("x", [7.0] * 600),
        pl.Series("x", [1e308, -1e308, float("inf"), float("-inf"), 0.0, None] * 100),
        pl.Series("x", [None] * 600, dtype=pl.String),
        pl.Series("x", [f"value {number}" for number in range(600)]),
        pl.Series("x", ["", "\x00", "NaN", None, "a" * 10_000, "é"] * 100),
    ],
)
def test_values_of_every_kind(values: pl.Series) -> None:
    """The same on both sides, so there is nothing to tell them apart by."""
    side = pl.DataFrame({"x": values, "sample_key": np.random.default_rng(4).integers(-(2**62), 2**62, 600)})
    found = separate(side, side, [Measured("x", "numeric" if values.dtype.is_numeric() else "category")])
    assert found is not None
    assert found.p_value > 0.05
    assert found.auc == pytest.approx(0.5, abs=0.05)


def test_one_outlier_changes_nothing() -> None:
    usual, other = rows(1, 500), rows(2, 500)
    far = other.with_columns(a=pl.when(pl.col("a") == pl.col("a").max()).then(1e300).otherwise("a"))
    assert separate(usual, far, MEASURED) == separate(usual, other, MEASURED)


def test_keys_that_leave_a_half_empty() -> None:
    even = rows(1, 500).with_columns(sample_key=pl.int_range(500) * 2)
    assert separate(even, even, MEASURED) is None


def test_values_that_went_missing_and_categories_that_are_new() -> None:
    gone = separate(rows(1, 1000), rows(2, 1000, missing=0.3), MEASURED)
    new = separate(rows(1, 1000), rows(2, 1000).with_columns(kind=pl.lit("new")), MEASURED)
    assert gone is not None
    assert new is not None
    assert gone.features[0] == "c"
    assert new.features[0] == "kind"
    assert new.auc > 0.99


def test_too_few_rows_say_nothing() -> None:
    assert separate(rows(1, LEAST_ROWS - 1), rows(2, 1000), MEASURED) is None
