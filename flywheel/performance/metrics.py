"""The metrics of weighted rows, for many sets of weights at once.

The same definitions as ``flywheel.training.evaluate`` (scikit-learn's), along the last axis of the weights: (n,) gives
one value a metric, (replicates, n) so many.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from flywheel.performance.delays import Floats

Booleans = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

LARGER_IS_BETTER = {
    "auc": True, "average_precision": True, "log_loss": False, "accuracy": True, "rmse": False, "mae": False,
}  # fmt: skip


class MeasuredRows(Protocol):
    """Predictions beside the truth."""

    def metrics(self, weights: Floats) -> dict[str, Floats]:
        """Return each metric by its name, of shape ``weights.shape[:-1]``; NaN where the rows can't tell."""
        ...

    def take(self, places: Places) -> Self:
        """Return the rows at these places."""
        ...


@dataclass(frozen=True)
class ClassRows:
    """Rows of a classification or an anomaly detector, shape (n,).

    ``truth``: is it the target? ``score``: the target's probability. ``is_right``: is the predicted label the true one?
    """

    truth: Booleans
    score: Floats
    is_right: Booleans

    def metrics(self, weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=-1)
        positive, negative = self._by_score(weights, self.truth), self._by_score(weights, ~self.truth)
        both = (positive[..., -1:] > 0) & (negative[..., -1:] > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {
                "auc": _auc(positive, negative),
                "average_precision": _average_precision(positive, negative),
                "log_loss": (weights @ self._loss) / total,
            }
            known = {name: np.where(both[..., 0], value, np.nan) for name, value in found.items()}
            return {**known, "accuracy": (weights @ self.is_right.astype(np.float64)) / total}

    def take(self, places: Places) -> ClassRows:
        return ClassRows(self.truth[places], self.score[places], self.is_right[places])

    @cached_property
    def _order(self) -> npt.NDArray[np.intp]:
        return np.argsort(-self.score, kind="stable")

    @cached_property
    def _ends(self) -> npt.NDArray[np.intp]:
        """The last place of each distinct score, from the highest down."""
        score = self.score[self._order]
        return np.flatnonzero(np.append(score[1:] != score[:-1], np.ones(min(score.size, 1), dtype=bool)))

    @cached_property
    def _loss(self) -> Floats:
        least = np.finfo(np.float64).eps
        own = np.where(self.truth, self.score, 1 - self.score)
        loss: Floats = -np.log(np.clip(own, least, 1 - least))
        return loss

    def _by_score(self, weights: Floats, wanted: Booleans) -> Floats:
        """The weight of the wanted rows that score at least each distinct score."""
        order = self._order
        sums: Floats = np.cumsum(weights[..., order] * wanted[order], axis=-1)[..., self._ends]
        return sums


@dataclass(frozen=True)
class ValueRows:
    """Rows of a regression: ``error`` is prediction − label, shape (n,), in the label's unit."""

    error: Floats

    def metrics(self, weights: Floats) -> dict[str, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            total = weights.sum(axis=-1)
            return {
                "rmse": np.sqrt((weights @ self.error**2) / total),
                "mae": (weights @ np.abs(self.error)) / total,
            }

    def take(self, places: Places) -> ValueRows:
        return ValueRows(self.error[places])


def _auc(positive: Floats, negative: Floats) -> Floats:
    """The area under the ROC curve by trapezoids, ties counting half."""
    rise, width = _pairs(positive), np.diff(negative, axis=-1, prepend=0.0)
    area: Floats = (rise * width).sum(axis=-1) / (positive[..., -1] * negative[..., -1])
    return area


def _average_precision(positive: Floats, negative: Floats) -> Floats:
    steps = np.diff(positive, axis=-1, prepend=0.0)
    called = positive + negative
    precision = np.divide(positive, called, out=np.zeros_like(called), where=called > 0)
    area: Floats = (steps * precision).sum(axis=-1) / positive[..., -1]
    return area


def _pairs(sums: Floats) -> Floats:
    """The mean of each running sum and the one before it."""
    before = np.concatenate([np.zeros_like(sums[..., :1]), sums[..., :-1]], axis=-1)
    means: Floats = (sums + before) / 2
    return means
