"""What answers for a version: ONNX Runtime sums the trees where the version has that form, else scikit-learn does."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from flywheel.inference.tensors import Array
from flywheel.registry.loading import digest, refusal
from flywheel.registry.store import Registry, onnx_uri
from flywheel.registry.version import RegisteredModel
from flywheel.serving.boosted_trees import BoostedTrees
from flywheel.serving.onnx_runtime import has_form, missing_package, open_session, sums_of
from flywheel.serving.scoring import score, score_from_sums

_log = logging.getLogger("flywheel.serving")
# Far beyond what both forms are compared on; single precision ends at 3e38.
_LARGEST = 1e30
_COMPARED = 64


class Scorer(Protocol):
    """Answers the rows of a matrix ``[n, width]`` with the tensors that ``scoring.score`` describes."""

    @property
    def runtime(self) -> str:
        """What computes the answer."""

    def score(self, matrix: Array) -> dict[str, Array]: ...


@dataclass(frozen=True)
class EstimatorScorer:
    """Asks the scikit-learn estimator."""

    model: Any
    task: str
    runtime: str = "sklearn"

    def score(self, matrix: Array) -> dict[str, Array]:
        return score(self.model, self.task, matrix)


@dataclass(frozen=True)
class BoostedScorer:
    """Has scikit-learn's function for one tree sum the trees; a matrix of another width is refused by the estimator."""

    trees: BoostedTrees
    estimator: EstimatorScorer
    runtime: str = "sklearn"

    def score(self, matrix: Array) -> dict[str, Array]:
        if matrix.shape[1] != self.trees.width:
            return self.estimator.score(matrix)
        return score_from_sums(self.estimator.model, self.estimator.task, self.trees.sums(matrix))


@dataclass(frozen=True)
class OnnxScorer:
    """Has ONNX Runtime sum the trees; a request with values that the two were not compared on is the estimator's."""

    session: Any
    estimator: EstimatorScorer
    runtime: str = "onnxruntime"

    def score(self, matrix: Array) -> dict[str, Array]:
        if (np.abs(matrix) > _LARGEST).any():
            return self.estimator.score(matrix)
        return score_from_sums(self.estimator.model, self.estimator.task, sums_of(self.session, matrix))


@dataclass(frozen=True)
class ServedModel:
    """A version, and what answers for it."""

    registered: RegisteredModel
    scorer: Scorer


def load_served(registry: Registry, model_id: str, version: int) -> ServedModel:
    """Load a version's files, verified.

    Raises
    ------
    TamperedModelError
        One of them is not what was registered, or can't be run.
    """
    loaded = registry.load(model_id, version)
    registered = loaded.registered
    estimator = EstimatorScorer(loaded.model, registered.card.task)
    if registered.card.onnx is None:
        return ServedModel(registered, by_scikit_learn(estimator))
    missing = missing_package("onnxruntime")
    data = registry.read_onnx(registered)
    if missing is not None or data is None:
        _log.warning("%s is served by scikit-learn: %s", registered, missing or "its ONNX file is gone")
        return ServedModel(registered, by_scikit_learn(estimator))
    return ServedModel(registered, OnnxScorer(_session(data, registered), estimator))


def by_scikit_learn(estimator: EstimatorScorer) -> Scorer:
    """Return what answers as the estimator does in the least time.

    Private parts of scikit-learn are called for it, so both answer some rows first.
    """
    try:
        trees = BoostedTrees.of(estimator.model, estimator.task)
        if trees is None:
            return estimator
        faster = BoostedScorer(trees, estimator)
        rows = _rows_to_compare(trees.width)
        expected, found = estimator.score(rows), faster.score(rows)
        if all(np.array_equal(values, found[name]) for name, values in expected.items()):
            return faster
        why = "answers otherwise"
    except Exception as error:  # another scikit-learn may have nothing of what is called
        why = f"{type(error).__name__}: {error}"
    _log.warning("a model is served by scikit-learn's own call, as its trees can't be summed faster: %s", why)
    return estimator


def _rows_to_compare(width: int) -> Array:
    drawn = np.random.default_rng(0)
    rows = drawn.normal(scale=10.0, size=(_COMPARED, width))
    rows[drawn.random(rows.shape) < 0.1] = np.nan
    return rows


def _session(data: bytes, registered: RegisteredModel) -> Any:
    file = onnx_uri(registered.model_id, digest(data))
    try:
        session = open_session(data)
    except Exception as error:  # ONNX Runtime's own, of many kinds
        raise refusal(registered, file, f"ONNX Runtime can't run it ({error})") from error
    width = registered.card.encoding.width
    if not has_form(session, width):
        raise refusal(registered, file, f"it does not sum the trees of a model of {width} columns")
    return session
