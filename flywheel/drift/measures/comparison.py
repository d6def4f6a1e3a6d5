"""What a measure is given: a feature's counts in the baseline and in the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from flywheel.drift.baseline import CategoryBaseline, NumericBaseline
from flywheel.drift.bins import Floats
from flywheel.drift.counting import Counts

FLOOR = 1e-4


@dataclass(frozen=True, slots=True)
class Comparison:
    """One feature, baseline against window; ``window`` has one count for each of the baseline's buckets."""

    baseline: NumericBaseline | CategoryBaseline
    window: Counts

    @property
    def reference(self) -> Counts:
        return np.array(self.baseline.counts, dtype=np.int64)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to compare on one of the sides."""
        return not (self.reference.sum() and self.window.sum())

    @property
    def shares(self) -> tuple[Floats, Floats]:
        """Shares of rows by bucket, reference and window: at most 10 coarse bins, or categories, and the missing.

        A bucket that is empty on both sides is left out. Categories have the buckets `other` and `unseen` as well.
        """
        reference, window = self._coarse(self.reference), self._coarse(self.window)
        used = (reference > 0) | (window > 0)
        return reference[used] / reference.sum(), window[used] / window.sum()

    def _coarse(self, counts: Counts) -> Counts:
        if isinstance(self.baseline, CategoryBaseline):
            return counts
        starts = np.array([0, *(position + 1 for position in self.baseline.coarse), counts.size - 1])
        return np.add.reduceat(counts, starts)


class Measure(Protocol):
    """A distance between baseline and window: 0 on equal shares, finite on empty bins, larger with the shift."""

    def value(self, comparison: Comparison) -> float | None:
        """The measure of two sides that both have rows, or None where it does not apply to such a feature."""
        ...


def floored(shares: Floats) -> Floats:
    """Shares raised to at least ``FLOOR`` (0.0001) and scaled to add up to 1: what the logarithms are taken of.

    Shares that are all above the floor stay as they are.

    >>> floored(np.array([0.25, 0.75])).tolist()
    [0.25, 0.75]
    >>> floored(np.array([0.0, 1.0])).round(6).tolist()
    [0.0001, 0.9999]
    """
    raised = np.maximum(shares, FLOOR)
    return np.asarray(raised / raised.sum())
