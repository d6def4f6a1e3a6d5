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
# Of a number, and values of a category: four times as fast as scikit-learn's 255, and no worse at telling rows apart.
_BINS = 64
# What a classifier goes by that does not tell rows apart is chance.
_TELLING = 0.05
# A feature with less of the first one's importance is mostly noise too.
_BESIDE = 1 / 3


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
        What the classifier goes by, the most telling first: those whose shuffling costs AUC, at least a third of what
        the first one's does. Empty where the p-value is above 0.05: what it goes by then is chance.
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
    measured
        What the classifier is shown. Numbers count by their rank, so no outlier matters.

    Notes
    -----
    On the tested half the AUC is a Mann-Whitney statistic of scores that do not know it, so its null is the usual one.
    The two halves' p-values depend on each other; the Cauchy combination bears that.

    References
    ----------
    Lopez-Paz and Oquab, Revisiting classifier two-sample tests, 2017. Liu and Xie, Cauchy combination test, 2020.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if min(reference.height, window.height) < LEAST_ROWS:
        return None
    rows = pl.concat([reference, window], how="diagonal_relaxed")
    matrix, is_category = _matrix(rows, measured)
    is_window = np.arange(rows.height) >= reference.height
    even = (rows["sample_key"].to_numpy() & 1) == 0
    if min(np.bincount(2 * even + is_window, minlength=4)) < LEAST_ROWS // 4:
        return None
    # A second thread takes longer than it saves on so few rows, many times so where others use the processors too.
    with threadpool_limits(1):
        folds = [_Fold.fit(matrix, is_window, is_category, train) for train in (even, ~even)]
        p_value = cauchy_combination([fold.p_value for fold in folds])
        telling = _telling(folds, measured) if p_value <= _TELLING else []
    return Separation(auc=float(np.mean([fold.auc for fold in folds])), p_value=p_value, features=telling)


def _telling(folds: Sequence[_Fold], measured: Sequence[Measured]) -> list[str]:
    drops = np.mean([fold.importance() for fold in folds], axis=0)
    least = max(float(drops.max()) * _BESIDE, 0.0)
    return [measured[place].name for place in np.argsort(-drops) if drops[place] > least]


def _matrix(rows: pl.DataFrame, measured: Sequence[Measured]) -> tuple[Floats, list[bool]]:
    columns = [
        _codes(feature.values(rows)) if feature.kind == "category" else _ranks(feature.values(rows))
        for feature in measured
    ]
    return np.column_stack(columns), [feature.kind == "category" for feature in measured]


def _ranks(values: pl.Series) -> Floats:
    """Numbers as ranks from 1; missing is 0, since a column of nothing but NaN is an error to scikit-learn."""
    finite = values.set(~values.is_finite().fill_null(value=False), None)
    return finite.rank("dense").cast(pl.Float64).fill_null(0).to_numpy()


def _codes(values: pl.Series) -> Floats:
    """Categories as codes: the most frequent, then the rest as one, then missing."""
    counts = values.alias("value").drop_nulls().value_counts(name="rows")
    frequent = counts.sort("rows", "value", descending=[True, False])["value"].head(_BINS - 2)
    codes = dict(zip(frequent.to_list(), range(frequent.len()), strict=True))
    found = values.replace_strict(codes, default=float(frequent.len()), return_dtype=pl.Float64)
    return found.set(values.is_null(), float(frequent.len() + 1)).to_numpy()


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
            max_bins=_BINS, class_weight="balanced", categorical_features=is_category, early_stopping=False,
            random_state=0,
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
