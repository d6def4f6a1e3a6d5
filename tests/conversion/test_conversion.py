"""The ONNX form of a model answers as the model does, at its splits and for hostile values too, or is not made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from flywheel.conversion.convert import Conversion, convert
from flywheel.conversion.ensembles import ensemble_of
from flywheel.conversion.probes import probes
from flywheel.serving.onnx_runtime import open_session
from flywheel.serving.scorers import EstimatorScorer, OnnxScorer


def linear(model: Any) -> Pipeline:
    return Pipeline([("impute", SimpleImputer()), ("scale", StandardScaler()), ("model", model)])


# By name: the task, the classes to tell apart (0: a number), and the estimator.
MODELS: dict[str, tuple[str, int, Callable[..., Any]]] = {
    "boosted": ("classification", 2, HistGradientBoostingClassifier),
    "boosted, 9 classes": ("classification", 9, HistGradientBoostingClassifier),
    "boosted numbers": ("regression", 0, HistGradientBoostingRegressor),
    "boosted counts": ("regression", 0, lambda **chosen: HistGradientBoostingRegressor(loss="poisson", **chosen)),
    "isolation forest": ("anomaly", 0, IsolationForest),
    "isolation forest, half": ("anomaly", 0, lambda **chosen: IsolationForest(max_features=0.5, **chosen)),
    "isolation forest, share": ("anomaly", 0, lambda **chosen: IsolationForest(contamination=0.1, **chosen)),
    "boosted medians": (
        "regression",
        0,
        lambda **chosen: HistGradientBoostingRegressor(loss="absolute_error", **chosen),
    ),
}


def matrix_of(random: np.random.Generator, rows: int, width: int, kind: str) -> np.ndarray:
    """Columns such as logs have them."""
    values = random.normal(size=(rows, width))
    if kind == "codes":
        values = random.integers(0, 5, (rows, width)).astype(float)
    if kind == "tiny steps":
        values = 1.0 + random.integers(0, 9, (rows, width)) * 2.0**-40  # one value in single precision
    if kind == "large":
        values = values * 1e12
    values[random.random(values.shape) < random.choice([0.0, 0.1])] = np.nan
    values[:, random.integers(width)] = 7.0
    return values


def fitted(name: str, matrix: np.ndarray, random: np.random.Generator, trees: int, seed: int) -> tuple[Any, str]:
    task, classes, build = MODELS[name]
    signal = np.nan_to_num(matrix).sum(axis=1) / max(1.0, np.nanmax(np.abs(matrix))) + random.normal(size=len(matrix))
    if task == "anomaly":
        return build(n_estimators=trees, random_state=seed).fit(matrix), task
    extra = {"max_iter": trees, "random_state": seed}
    if classes == 0:
        return build(**extra).fit(matrix, np.abs(signal)), task
    ranks = np.argsort(np.argsort(signal)) * classes // len(signal)
    return build(**extra).fit(matrix, np.array(list("abcdefghi"))[ranks]), task


def converted(estimator: Any, task: str, rows: np.ndarray) -> Conversion:
    found = convert(estimator, task, rows)
    assert found.refusal == ""
    return found


def assert_alike(form: Conversion, estimator: Any, task: str, rows: np.ndarray) -> None:
    """Every answer is the same to the last bit."""
    assert form.data is not None
    model = EstimatorScorer(estimator, task)
    expected, found = model.score(rows), OnnxScorer(open_session(form.data), model).score(rows)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        assert values.dtype == found[name].dtype
        np.testing.assert_array_equal(found[name], values, strict=True)


@given(
    name=st.sampled_from(list(MODELS)),
    kind=st.sampled_from(["floats", "codes", "tiny steps", "large"]),
    width=st.integers(1, 6),
    rows=st.integers(30, 300),
    trees=st.integers(1, 12),
    seed=st.integers(0, 2**31 - 1),
    hostile=st.lists(st.floats(-1e30, 1e30) | st.just(np.nan), min_size=12, max_size=12),
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.filterwarnings("ignore:.*")  # scikit-learn's, about models that learned little from so few rows
def test_both_forms_answer_alike(
    name: str, kind: str, width: int, rows: int, trees: int, seed: int, hostile: list[float]
) -> None:
    random = np.random.default_rng(seed)
    matrix = matrix_of(random, rows, width, kind)
    estimator, task = fitted(name, matrix, random, trees, seed)
    form = converted(estimator, task, matrix)
    # Rows that the conversion was not compared on, hostile ones among them.
    fresh = matrix_of(random, 200, width, kind)
    fresh[:12] = np.resize(np.array(hostile), (12, width))
    assert_alike(form, estimator, task, fresh)
    assert_alike(form, estimator, task, fresh[11:12])


@pytest.mark.parametrize("name", ["boosted", "boosted numbers", "isolation forest"])
def test_a_row_at_a_split_goes_where_it_goes_in_the_model(name: str) -> None:
    random = np.random.default_rng(5)
    matrix = matrix_of(random, 2_000, 4, "floats")
    estimator, task = fitted(name, matrix, random, 20, 5)
    ensemble = ensemble_of(estimator)
    rows = probes(matrix, ensemble)
    at = {(column, split) for column, split in zip(ensemble.feature, ensemble.threshold, strict=True) if column < 4}
    finite = {(column, split) for column, split in at if np.isfinite(split)}
    there = {(column, value) for column in range(4) for value in rows[:, column]}
    assert len(finite & there) > min(0.9 * len(finite), 2_000)
    assert_alike(converted(estimator, task, matrix), estimator, task, rows)


@pytest.mark.parametrize("name", MODELS)
def test_trees_that_are_leaves(name: str) -> None:
    random = np.random.default_rng(1)
    matrix = np.full((40, 2), 3.0)
    estimator, task = fitted(name, matrix, random, 3, 1)
    assert_alike(converted(estimator, task, matrix), estimator, task, matrix)


def test_a_conversion_gives_the_same_bytes_again() -> None:
    random = np.random.default_rng(2)
    matrix = matrix_of(random, 500, 5, "floats")
    estimator, task = fitted("boosted", matrix, random, 10, 2)
    assert convert(estimator, task, matrix) == convert(estimator, task, matrix)


class HistGradientBoostingOneBitOff(HistGradientBoostingClassifier):  # type: ignore[misc]
    """Answers something else than its trees say, in the last bit."""

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        return np.nextafter(super().predict_proba(matrix), 2.0)


def test_a_form_that_answers_otherwise_is_not_kept() -> None:
    random = np.random.default_rng(3)
    matrix = matrix_of(random, 300, 3, "floats")
    estimator = HistGradientBoostingOneBitOff(max_iter=5).fit(matrix, random.integers(0, 2, 300))
    found = convert(estimator, "classification", matrix)
    assert found.data is found.file is None
    assert found.refusal.startswith("its ONNX form answers ")


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (RandomForestClassifier(3), "not faster for a RandomForestClassifier"),
        (HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]), "splits by a set of categories"),
        (linear(SGDClassifier(loss="log_loss")), "not faster for a Pipeline"),
    ],
)
def test_what_has_no_form_says_why(estimator: Any, why: str) -> None:
    random = np.random.default_rng(4)
    matrix = random.integers(0, 5, (300, 3)).astype(float)
    found = convert(estimator.fit(matrix, matrix[:, 0] % 2), "classification", matrix)
    assert found.data is None
    assert why in found.refusal


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    found = convert(None, "classification", np.zeros((1, 1)))
    assert found == Conversion(None, None, "onnxruntime is not installed: pip install 'flywheel-batch[onnx]'")
