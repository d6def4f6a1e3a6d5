"""Drift of all features together: can a classifier tell the window's rows from the reference's?

It sees what no feature shows by itself, such as two features whose correlation changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.drift.bins import Floats
from flywheel.drift.evidence.combination import cauchy_combination
from flywheel.drift.measured import Measured

Booleans = npt.NDArray[np.bool_]

# Fewer rows on a side can't train and test anything.
LEAST_ROWS = 200
_CATEGORIES = 250  # as many as scikit-learn's trees take


@dataclass(frozen=True, slots=True)
class Separation:
    """How well rows of the window are told from rows of the reference.

    Attributes
    ----------
    auc
        The chance that a row of the window is rated higher than one of the reference, on rows that the classifier did
        not learn from: 0.5 where nothing drifted.
    p_value
        The chance of such an AUC, or a higher one, without drift.
    features
        What the classifier goes by, the most telling first: those whose shuffling costs AUC.
    """

    auc: float
    p_value: float
    features: list[str]


def separate(reference: pl.DataFrame, window: pl.DataFrame, measured: Sequence[Measured]) -> Separation | None:
    """Train on one half of the rows and test on the other, both ways; None where there are too few rows.

    Parameters
    ----------
    reference, window
        Uniform samples of rows, with ``sample_key``: it decides the halves, so the answer is the same every time.

    Notes
    -----
    On the tested half the AUC is a Mann-Whitney statistic of scores that do not know it, so its null is the usual one.
    The two halves' p-values depend on each other; the Cauchy combination bears that.

    References
    ----------
    Lopez-Paz and Oquab, Revisiting classifier two-sample tests, 2017. Liu and Xie, Cauchy combination test, 2020.
    """
    if min(reference.height, window.height) < LEAST_ROWS:
        return None
    rows = pl.concat([reference, window], how="diagonal_relaxed")
    matrix, is_category = _matrix(rows, measured)
    is_window = np.arange(rows.height) >= reference.height
    even = (rows["sample_key"].to_numpy() & 1) == 0
    folds = [_Fold.fit(matrix, is_window, is_category, train) for train in (even, ~even)]
    drops = np.mean([fold.importance() for fold in folds], axis=0)
    telling = [measured[place].name for place in np.argsort(-drops) if drops[place] > 0]
    auc = float(np.mean([fold.auc for fold in folds]))
    return Separation(auc=auc, p_value=cauchy_combination([fold.p_value for fold in folds]), features=telling)


def _matrix(rows: pl.DataFrame, measured: Sequence[Measured]) -> tuple[Floats, list[bool]]:
    """Numbers as they are, categories as codes: the most frequent, the rest as one; missing is NaN."""
    columns = []
    for feature in measured:
        values = feature.values(rows)
        if feature.kind == "category":
            common = values.drop_nulls().value_counts(sort=True).head(_CATEGORIES)[feature.name].sort()
            codes = dict(zip(common.to_list(), range(common.len()), strict=True))
            values = values.replace_strict(codes, default=float(common.len()), return_dtype=pl.Float64).set(
                values.is_null(), None
            )
        columns.append(values.to_numpy())
    return np.column_stack(columns), [feature.kind == "category" for feature in measured]


@dataclass(frozen=True)
class _Fold:
    """A classifier, and the half of the rows that it has not seen."""

    classifier: object
    matrix: Floats
    is_window: Booleans
    auc: float
    p_value: float

    @classmethod
    def fit(cls, matrix: Floats, is_window: Booleans, is_category: list[bool], train: Booleans) -> _Fold:
        from sklearn.ensemble import HistGradientBoostingClassifier

        classifier = HistGradientBoostingClassifier(
            max_iter=60, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=20, l2_regularization=1.0,
            class_weight="balanced", categorical_features=is_category, early_stopping=False, random_state=0,
        )  # fmt: skip
        classifier.fit(matrix[train], is_window[train])
        test = ~train
        scores = classifier.predict_proba(matrix[test])[:, 1]
        auc, p_value = _rank_test(scores, is_window[test])
        return cls(classifier, matrix[test], is_window[test], auc, p_value)

    def importance(self) -> Floats:
        """What shuffling each feature costs of the AUC."""
        random = np.random.default_rng(0)
        drops = np.empty(self.matrix.shape[1])
        for place in range(drops.size):
            shuffled = self.matrix.copy()
            random.shuffle(shuffled[:, place])
            scores = self.classifier.predict_proba(shuffled)[:, 1]  # type: ignore[attr-defined]
            drops[place] = self.auc - _rank_test(scores, self.is_window)[0]
        return drops


def _rank_test(scores: Floats, is_window: Booleans) -> tuple[float, float]:
    """The AUC, and the one-sided p-value of Mann and Whitney's U with its correction for ties."""
    from scipy.stats import mannwhitneyu

    ours, theirs = scores[is_window], scores[~is_window]
    statistic, p_value = mannwhitneyu(ours, theirs, alternative="greater", method="asymptotic")
    return float(statistic / (ours.size * theirs.size)), float(p_value)
