"""What a measure is given: a feature's counts in the baseline and in the window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from flywheel.drift.baseline import CategoryBaseline, NumericBaseline
from flywheel.drift.bins import Floats
from flywheel.drift.counting import Counts

FLOOR = 1e-4


@dataclass(frozen=True)
class Comparison:
    """One feature, baseline against window; ``window`` has one count for each of the baseline's buckets.

    ``part`` has the counts of the rows of the reference that are compared, where these are not all of them.
    """

    baseline: NumericBaseline | CategoryBaseline
    window: Counts
    part: Counts | None = None

    @property
    def reference(self) -> Counts:
        return self.baseline.table if self.part is None else self.part

    @cached_property
    def rows(self) -> tuple[int, int]:
        """Rows of the reference and of the window."""
        return int(self.reference.sum()), int(self.window.sum())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to compare on one of the sides."""
        return not all(self.rows)

    @cached_property
    def shares(self) -> tuple[Floats, Floats]:
        """Shares of rows by bucket, reference and window: at most 10 coarse bins, or categories, and the missing.

        A bucket that is empty on both sides is left out. Categories have the buckets `other` and `unseen` as well.
        """
        counts = self._coarse(np.stack((self.reference, self.window)))
        used = counts[:, counts.any(axis=0)]
        return used[0] / self.rows[0], used[1] / self.rows[1]

    @cached_property
    def floored_shares(self) -> tuple[Floats, Floats]:
        """``shares`` as ``floored`` makes them: what logarithms are taken of."""
        reference, window = self.shares
        return floored(reference), floored(window)

    @cached_property
    def log_ratio(self) -> Floats:
        """ln(w / r) of the floored shares."""
        reference, window = self.floored_shares
        return np.asarray(np.log(window / reference))

    @cached_property
    def pooled(self) -> Floats:
        """The shares of both sides together, over the buckets of ``shares``: what each is near without drift."""
        reference, window = self.shares
        n, m = self.rows
        return np.asarray((reference * n + window * m) / (n + m))

    @cached_property
    def values(self) -> tuple[Counts, Counts] | None:
        """Counts of a number's fine bins without the missing; None where a side has no values, or for categories."""
        if not isinstance(self.baseline, NumericBaseline):
            return None
        reference, window = self.reference[:-1], self.window[:-1]
        return (reference, window) if reference.any() and window.any() else None

    @cached_property
    def below(self) -> tuple[Counts, Counts] | None:
        """How many of ``values`` are at or below each fine edge, and last how many there are."""
        if self.values is None:
            return None
        reference, window = self.values
        return np.cumsum(reference), np.cumsum(window)

    @cached_property
    def noise(self) -> float:
        """1/n + 1/m for n and m rows: the variance of a difference of shares, divided by p (1 - p)."""
        n, m = self.rows
        return 1 / n + 1 / m

    @cached_property
    def divergence_noise(self) -> float:
        """The mean of Pearson's chi-square divergence between two samples of one distribution, (B - 1)(1/n + 1/m).

        To first order PSI has the same mean, KL half of it, JS (in nats) and Hellinger's square an eighth.
        """
        return (self.shares[0].size - 1) * self.noise

    def _coarse(self, counts: Counts) -> Counts:
        """Of buckets (side, bucket)."""
        if isinstance(self.baseline, CategoryBaseline):
            return counts
        starts = np.array([0, *(position + 1 for position in self.baseline.coarse), counts.shape[1] - 1])
        return np.add.reduceat(counts, starts, axis=1)


class Measure(Protocol):
    """A distance between baseline and window: 0 on equal shares, finite on empty bins, larger with the shift."""

    def value(self, comparison: Comparison) -> float | None:
        """The measure of two sides that both have rows, or None where it does not apply to such a feature."""
        ...

    def corrected(self, value: float, comparison: Comparison) -> float:
        """``value`` without what chance adds to it: its mean between two samples of one distribution, at least 0."""
        ...


def without_noise(value: float, noise: float) -> float:
    """A value less its mean under no drift, at least 0."""
    return max(0.0, value - noise)


def chance_difference(shares: Floats | np.float64, noise: float) -> Floats:
    """The mean of |w - r| for each share p between two samples of one distribution: sqrt(2/pi p (1 - p)(1/n + 1/m)).

    >>> chance_difference(np.array([0.5]), 1 / 100 + 1 / 100).round(4).tolist()
    [0.0564]
    """
    return np.asarray(np.sqrt(2 / np.pi * shares * (1 - shares) * noise))


def rate_noise(comparison: Comparison, bucket: int) -> float:
    """The mean difference of one bucket's share between two samples of one distribution."""
    rows = comparison.reference[bucket] + comparison.window[bucket]
    return float(chance_difference(rows / sum(comparison.rows), comparison.noise))


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
