"""The sums of a gradient boosting model's trees, without what scikit-learn spends on each call of each tree.

scikit-learn makes an array for the answer of each tree, and has numpy describe the tree's fields anew. Of 64 rows and
100 trees that is half of the time; in a server's threads, malloc returns each such array to the system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from flywheel.inference.tensors import Array

# Requests run side by side.
_THREADS = 1


@dataclass(frozen=True)
class BoostedTrees:
    """The trees of a fitted model, as scikit-learn's own function for one tree takes them.

    Attributes
    ----------
    trees
        For each tree: the output that it adds to, its nodes, and the sets of categories that it splits by.
    known_categories, categorical_columns
        What the function asks of all trees.
    """

    baseline: Array
    width: int
    trees: tuple[tuple[int, memoryview, memoryview], ...]
    known_categories: memoryview
    categorical_columns: memoryview

    @classmethod
    def of(cls, model: Any, task: str) -> Self | None:
        """Return the trees of a model that does the task; None if it is not gradient boosting of numbers."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        kinds = {"classification": HistGradientBoostingClassifier, "regression": HistGradientBoostingRegressor}
        if type(model) is not kinds.get(task) or model._preprocessor is not None:
            return None
        trees = (
            (target, _view(tree.nodes), _view(tree.raw_left_cat_bitsets))
            for iteration in model._predictors
            for target, tree in enumerate(iteration)
        )
        known, columns = model._bin_mapper.make_known_categories_bitsets()
        return cls(model._baseline_prediction, model.n_features_in_, tuple(trees), _view(known), _view(columns))

    def sums(self, matrix: Array) -> Array:
        """Return the sums ``[n, targets]`` of a matrix ``[n, width]``, to the last bit those of scikit-learn."""
        from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        sums = np.zeros((len(rows), self.baseline.shape[1]), order="F")
        sums += self.baseline
        answer = np.empty(len(rows))
        given, taken = _view(rows), _view(answer)
        known, columns = self.known_categories, self.categorical_columns
        for target, nodes, categories in self.trees:
            _predict_from_raw_data(nodes, given, categories, known, columns, _THREADS, taken)
            sums[:, target] += answer
        return sums


def _view(array: Any) -> memoryview:
    # Of an array itself, numpy writes the description of its fields anew for each call.
    return memoryview(array)
