"""Labelled rows that count so that their answers are spread as all of the window's are.

The youngest rows have no labels yet, and are not like the others: on flights, those of the evening are later, and the
model says so. Within a class and among equal answers they are taken to be alike (post-stratification: D. Holt and
T. Smith, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flywheel.performance.delays import Floats
from flywheel.performance.weights import Integers

BINS = 5


@dataclass(frozen=True)
class AnswerBins:
    """``places``, shape (n,), says in which bin each labelled row's answer is, ``shares`` how much each bin has of all
    rows of the window, shape (bins,)."""

    places: Integers
    shares: Floats

    @classmethod
    def of(cls, labelled: Floats, everything: Floats) -> AnswerBins:
        """Bin answers by the quantiles of all of the window's.

        >>> AnswerBins.of(np.array([0.1, 0.9]), np.array([0.1, 0.2, 0.6, 0.7, 0.8])).shares.tolist()
        [0.2, 0.2, 0.2, 0.2, 0.2]
        """
        edges = np.unique(np.quantile(everything, np.arange(1, BINS) / BINS))
        shares = np.bincount(np.searchsorted(edges, everything), minlength=edges.size + 1) / everything.size
        return cls(np.searchsorted(edges, labelled).astype(np.int64), shares)

    def take(self, rows: Integers) -> AnswerBins:
        """Return the bins of the labelled rows at these places; the window stays the same."""
        return AnswerBins(self.places[rows], self.shares)

    def spread(self, weights: Floats) -> Floats:
        """Scale the weights of labelled rows, shape (n,) or (replicates, n), so that each bin has its share of all.

        A bin without labelled rows has nobody to stand for it and is left out.
        """
        members = np.equal.outer(self.places, np.arange(self.shares.size)).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = np.where((held := weights @ members) > 0, self.shares / held, 0.0)
        return np.asarray(weights * (factors @ members.T) * self.places.size)
