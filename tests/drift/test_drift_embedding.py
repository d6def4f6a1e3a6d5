"""The cosine distance of mean vectors, against SciPy's and against permutations by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from flywheel.drift import embedding
from flywheel.drift.embedding import PERMUTATIONS, mean_shift


def test_the_distance_is_scipys() -> None:
    random = np.random.default_rng(3)
    reference, window = random.normal(1, 1, (500, 16)), random.normal(0.7, 1, (200, 16))
    found = mean_shift(reference, window)
    assert found is not None
    assert found.distance == pytest.approx(cosine(reference.mean(axis=0), window.mean(axis=0)), rel=1e-9)


def test_the_p_value_is_that_of_all_divisions() -> None:
    """Of 4 + 3 rows there are 35 divisions, which can all be counted."""
    rows = np.random.default_rng(5).normal(0.5, 1, (7, 3))
    found = mean_shift(rows[:4], rows[4:])
    assert found is not None
    distances = []
    for places in combinations(range(7), 3):
        chosen = np.isin(np.arange(7), places)
        distances.append(cosine(rows[~chosen].mean(axis=0), rows[chosen].mean(axis=0)))
    exact = np.mean(np.array(distances) >= found.distance - 1e-12)
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / PERMUTATIONS) + 1e-3)


def test_a_turn_is_seen_and_noise_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "PERMUTATIONS", 500)
    random = np.random.default_rng(8)
    direction = random.normal(0, 1, 8)
    reference = direction + random.normal(0, 1, (400, 8))
    turned = mean_shift(reference, np.roll(direction, 1) + random.normal(0, 1, (200, 8)))
    assert turned is not None
    assert turned.p_value < 0.005
    calm = [mean_shift(reference, direction + random.normal(0, 1, (200, 8))) for _ in range(20)]
    assert sum(each.p_value < 0.05 for each in calm if each is not None) <= 5


def test_missing_components_and_empty_sides() -> None:
    whole = np.ones((3, 2))
    assert mean_shift(whole, np.full((4, 2), np.nan)) is None
    assert mean_shift(np.empty((0, 2)), whole) is None
    found = mean_shift(whole, np.array([[1.0, 1.0], [np.nan, 5.0], [2.0, 2.0]]))
    assert found is not None
    assert found.distance == pytest.approx(0)
    assert found.p_value == 1
    nowhere = mean_shift(whole, np.zeros((3, 2)))
    assert nowhere is not None
    assert np.isnan(nowhere.distance)
    assert nowhere.p_value == 1
