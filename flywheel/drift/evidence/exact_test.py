"""The exact test of one share against another: how many of the rows that have a mark are in the window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from flywheel.drift.bins import Floats

_DEVIATIONS = 12
# Counts whose probabilities differ by less are as likely as each other, but for rounding.
_TIE = 1e-6


def exact_test(reference: int, window: int, reference_rows: int, window_rows: int) -> float:
    """The two-sided mid-p-value of ``window`` marked rows of ``window_rows``, given all marked ones on both sides.

    Fisher's exact test: the probability of every count that is less likely than the observed one, and half of that of
    those as likely, itself included: the plain p-value would be too large by far for small counts. Everything marked,
    or nothing: 1.

    References
    ----------
    J. Irwin, Tests of significance for differences between percentages based on small numbers, 1935.
    H. Lancaster, Significance tests in discrete distributions, 1961 (mid-p).

    >>> round(exact_test(0, 3, 10, 10), 4)
    0.1053
    """
    law = _Law(reference + window, window_rows, reference_rows + window_rows)
    if law.lowest == law.highest:
        return 1.0
    reach = law.reach
    if abs(window - law.middle) > reach:
        first, last = (window, window + reach) if window > law.middle else (window - reach, window)
        likely = law.probabilities(first, last)
        return float(likely.sum() - law.probabilities(window, window)[0] / 2)
    likely = law.probabilities(int(law.middle) - 2 * reach, int(law.middle) + 2 * reach)
    observed = law.probabilities(window, window)[0]
    is_tied = np.abs(likely - observed) <= _TIE * observed
    return min(1.0, float(likely[(likely < observed) & ~is_tied].sum() + likely[is_tied].sum() / 2))


def exact_test_of_more(reference: int, window: int, reference_rows: int, window_rows: int) -> float:
    """The same where only more marked rows in the window than in the reference would mean anything: the upper tail.

    >>> round(exact_test_of_more(0, 3, 10, 10), 4)
    0.0526
    """
    law = _Law(reference + window, window_rows, reference_rows + window_rows)
    if law.lowest == law.highest or window < law.middle - law.reach:
        return 1.0
    likely = law.probabilities(window, max(window, int(law.middle)) + law.reach)
    return min(1.0, float(likely.sum() - likely[0] / 2))


@dataclass(frozen=True, slots=True)
class _Law:
    """How many of ``drawn`` rows of ``rows`` are marked if ``marked`` of all are: hypergeometric."""

    marked: int
    drawn: int
    rows: int

    @property
    def lowest(self) -> int:
        return max(0, self.marked + self.drawn - self.rows)

    @property
    def highest(self) -> int:
        return min(self.marked, self.drawn)

    @property
    def middle(self) -> float:
        return self.marked * (self.drawn / self.rows)

    @property
    def reach(self) -> int:
        """So far from the middle that what lies beyond adds nothing."""
        left = (1 - self.drawn / self.rows) * ((self.rows - self.marked) / (self.rows - 1))
        return int(_DEVIATIONS * np.sqrt(self.middle * left)) + 60

    def probabilities(self, first: int, last: int) -> Floats:
        """Of the counts from ``first`` to ``last``, as far as they are possible."""
        counts = np.arange(max(first, self.lowest), min(last, self.highest) + 1, dtype=np.float64)
        ways = _log_choose(self.marked, counts) + _log_choose(self.rows - self.marked, self.drawn - counts)
        return np.asarray(np.exp(ways - _log_choose(self.rows, np.float64(self.drawn))))


def _log_choose(size: int, chosen: Floats | np.float64) -> Floats:
    return np.asarray(gammaln(size + 1.0) - gammaln(chosen + 1) - gammaln(size - chosen + 1))
