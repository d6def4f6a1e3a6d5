"""A gradient boosting model's trees are summed as scikit-learn sums them, to the last bit, and in less time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, IsolationForest
from threadpoolctl import threadpool_limits

from flywheel.serving.boosted_trees import BoostedTrees
from flywheel.serving.scorers import BoostedScorer, EstimatorScorer, by_scikit_learn

EDGES = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e300, -1e300])


def rows_of(count: int, width: int) -> np.ndarray:
    random = np.random.default_rng(count)
    matrix = random.normal(size=(count, width))
    is_edge = random.random(matrix.shape) < 0.1
    matrix[is_edge] = random.choice(EDGES, int(is_edge.sum()))
    return matrix


def fitted(model: Any, classes: int) -> Any:
    matrix = np.random.default_rng(0).normal(size=(600, 4))
    matrix[::7, 1] = np.nan
    number = np.nan_to_num(matrix).sum(axis=1)
    labels = np.exp(number) if not classes else np.digitize(number, np.linspace(-1, 1, classes - 1))
    trusted = skops.io.get_untrusted_types(data=(data := skops.io.dumps(model.fit(matrix, labels))))
    return skops.io.loads(data, trusted=trusted)


MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "two classes": ("classification", lambda: fitted(HistGradientBoostingClassifier(max_iter=20), 2)),
    "four classes": ("classification", lambda: fitted(HistGradientBoostingClassifier(max_iter=10), 4)),
    "a number": ("regression", lambda: fitted(HistGradientBoostingRegressor(max_iter=20), 0)),
    "counts": ("regression", lambda: fitted(HistGradientBoostingRegressor(loss="poisson", max_iter=10), 0)),
    "leaves": ("regression", lambda: fitted(HistGradientBoostingRegressor(max_iter=3, min_samples_leaf=600), 0)),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_answers_what_scikit_learn_answers(name: str) -> None:
    task, make = MODELS[name]
    estimator = EstimatorScorer(make(), task)
    scorer = by_scikit_learn(estimator)
    assert isinstance(scorer, BoostedScorer)
    for matrix in (
        rows_of(1, 4),
        rows_of(1_000, 4),
        np.random.default_rng(1).normal(size=(100, 4)).astype(np.float32),
        np.asfortranarray(rows_of(100, 4)),
        rows_of(100, 8)[::2, ::2],
    ):
        found, expected = scorer.score(matrix), estimator.score(matrix)
        assert found.keys() == expected.keys()
        for tensor, values in expected.items():
            np.testing.assert_array_equal(found[tensor], values)


def test_a_matrix_of_another_width_is_refused_and_not_read_beyond_its_end() -> None:
    model = fitted(HistGradientBoostingClassifier(max_iter=5), 2)
    with pytest.raises(ValueError, match="3 features"):
        by_scikit_learn(EstimatorScorer(model, "classification")).score(rows_of(10, 3))


def test_other_models_and_sets_of_categories_are_left_to_scikit_learn() -> None:
    matrix = np.random.default_rng(0).integers(0, 4, (200, 3)).astype(float)
    by_category = HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]).fit(matrix, matrix[:, 0] > 1)
    numbers = HistGradientBoostingRegressor(max_iter=3).fit(matrix, matrix[:, 0])
    for model, task in (
        (by_category, "classification"),
        (numbers, "classification"),  # a card that says otherwise
        (IsolationForest(n_estimators=3).fit(matrix), "anomaly"),
    ):
        estimator = EstimatorScorer(model, task)
        assert by_scikit_learn(estimator) is estimator


def test_a_scikit_learn_that_sums_otherwise_serves_by_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    estimator = EstimatorScorer(fitted(HistGradientBoostingClassifier(max_iter=5), 2), "classification")
    monkeypatch.setattr(BoostedTrees, "sums", lambda _self, matrix: np.zeros((len(matrix), 1)))
    assert by_scikit_learn(estimator) is estimator
    assert "answers otherwise" in caplog.text

    monkeypatch.undo()
    monkeypatch.delattr("sklearn.ensemble._hist_gradient_boosting._predictor._predict_from_raw_data")
    assert by_scikit_learn(estimator) is estimator
    assert "ImportError" in caplog.text


def test_a_small_request_takes_less_time() -> None:
    model = fitted(HistGradientBoostingClassifier(max_iter=100, max_leaf_nodes=5), 2)
    estimator = EstimatorScorer(model, "classification")
    scorer, matrix = by_scikit_learn(estimator), rows_of(64, 4)

    def seconds(call: Any) -> float:
        began = time.thread_time()
        call()
        return time.thread_time() - began

    with threadpool_limits(limits=1, user_api="openmp"):
        ours = min(seconds(lambda: scorer.score(matrix)) for _ in range(10))
        theirs = min(seconds(lambda: estimator.score(matrix)) for _ in range(10))
    assert ours < 0.8 * theirs
