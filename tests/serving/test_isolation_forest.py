from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import IsolationForest

from flywheel.serving.isolation_forest import samples_score


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_estimators": 30},
        {"n_estimators": 20, "max_features": 0.5},
        {"n_estimators": 20, "max_features": 0.5, "bootstrap": True},
        {"n_estimators": 5, "max_samples": 1},
        {"n_estimators": 20, "contamination": 0.1},
    ],
    ids=str,
)
def test_a_forest_scores_as_scikit_learn_does(parameters: dict[str, Any]) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(500, 4))
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    fitted = IsolationForest(random_state=0, **parameters).fit(matrix)
    forest = skops.io.loads(skops.io.dumps(fitted), trusted=["sklearn.tree._tree.Tree"])

    found = samples_score(forest, matrix)

    np.testing.assert_array_equal(found, fitted.score_samples(matrix))
    assert samples_score(forest, matrix[:0]).shape == (0,)


def test_a_small_request_is_answered_long_before_the_deadline() -> None:
    matrix = np.random.default_rng(0).normal(size=(64, 2))
    forest = IsolationForest(n_estimators=200, random_state=0).fit(matrix)

    def seconds(call: Any) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    ours = min(seconds(lambda: samples_score(forest, matrix)) for _ in range(5))
    theirs = min(seconds(lambda: forest.score_samples(matrix)) for _ in range(5))
    assert ours < theirs / 3
