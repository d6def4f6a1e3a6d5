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
    assert set(found.features[:2]) == {"a", "b"}


def test_the_same_rows_give_the_same_answer() -> None:
    assert separate(rows(1, 600), rows(2, 600), MEASURED) == separate(rows(1, 600), rows(2, 600), MEASURED)


def test_its_level_without_drift() -> None:
    found = [separate(rows(10 + seed, 400), rows(90 + seed, 400), MEASURED[:2]) for seed in range(30)]
    p_values = np.array([each.p_value for each in found if each is not None])
    # 99.9% of the binomial: 30 x 0.1.
    assert (p_values < 0.1).sum() <= 9
    assert p_values.mean() == pytest.approx(0.5, abs=0.19)


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
