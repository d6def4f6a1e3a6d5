"""How long labels take to arrive.

A label that is not here may still come. Of the newest predictions only quick labels can be seen, so that a histogram of
delays looks too quick (right truncation), and the share of labelled predictions too small (right censoring). Both are
undone here, each by its product-limit estimator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ArrivalCurve:
    """P(label arrived by age a), a step function that is continuous from the right.

    Attributes
    ----------
    ages
        Where it steps, in hours, ascending, shape (k,).
    probability
        Its value from each age on, shape (k,), or (replicates, k).
    """

    ages: Floats
    probability: Floats

    def at(self, ages: Floats) -> Floats:
        """Return the probability at each of ``ages``, shape (n,) or (replicates, n); 0 before the first step.

        >>> ArrivalCurve(np.array([1.0, 3.0]), np.array([0.25, 1.0])).at(np.array([0.5, 1.0, 2.0, 9.0]))
        array([0.  , 0.25, 0.25, 1.  ])
        """
        before = np.zeros_like(self.probability[..., :1])
        steps: Floats = np.concatenate([before, self.probability], axis=-1)
        return np.take(steps, np.searchsorted(self.ages, ages, side="right"), axis=-1)

    def age_of(self, probability: float) -> float:
        """Return the youngest age, in hours, by which so large a share has arrived; infinity where none has."""
        reached = np.flatnonzero(self.probability >= probability - 1e-12)
        return float(self.ages[reached[0]]) if reached.size else float("inf")


def arrived_by(delay: Floats, truncation: Floats, weights: Floats | None = None) -> ArrivalCurve:
    """Estimate P(delay ≤ a | delay ≤ the longest one seen) from the delays of labels that have arrived.

    The nonparametric maximum-likelihood estimator under right truncation: Kaplan and Meier's in reverse time,
    F(a) = ∏ (1 − d(t) / n(t)) over the delays t > a, where d(t) labels took t, and n(t) took at most t and were made
    early enough to be seen with t (Lynden-Bell, 1971; Lagakos, Barraj and De Gruttola, Biometrika 75, 1988). With no
    truncation it is the empirical distribution function.

    Parameters
    ----------
    delay
        Hours from the prediction's event to its label, shape (n,), n ≥ 1.
    truncation
        The longest delay that could have been seen of each, ≥ ``delay``: its age at the horizon, shape (n,).
    weights
        How often each counts, ≥ 0, shape (n,), or (replicates, n) for that many estimates at once; default 1.

    >>> arrived_by(np.array([1.0, 2.0, 1.0, 4.0]), np.array([5.0, 5.0, 1.5, 5.0])).probability.round(3).tolist()
    [0.333, 0.667, 1.0]
    """
    weights = np.ones_like(delay) if weights is None else weights
    by_delay, by_truncation = np.argsort(delay, kind="stable"), np.argsort(truncation, kind="stable")
    ages, ends = _steps(delay[by_delay])
    at_most = np.cumsum(weights[..., by_delay], axis=-1)[..., ends]
    arrivals = np.diff(at_most, axis=-1, prepend=0.0)
    out_of_sight = _before(weights[..., by_truncation], truncation[by_truncation], ages)
    at_risk = at_most - out_of_sight
    stays = 1 - np.divide(arrivals, at_risk, out=np.ones_like(arrivals), where=at_risk > 0)
    later = np.clip(stays, 0.0, 1.0)[..., :0:-1]
    falling = np.cumprod(np.concatenate([np.ones_like(arrivals[..., :1]), later], axis=-1), axis=-1)
    return ArrivalCurve(ages, falling[..., ::-1])


def ever_labelled_by(age: Floats, is_labelled: npt.NDArray[np.bool_]) -> ArrivalCurve:
    """Estimate which share of all predictions has a label by each age: Kaplan and Meier's (1958) 1 − S(a).

    Parameters
    ----------
    age
        Hours until the label arrived, or, where none has, the prediction's age at the horizon, shape (n,), n ≥ 1.
    is_labelled
        Whether the label has arrived; a prediction without one may still get it (right censoring).

    >>> ever_labelled_by(np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, False, True, True])).probability.round(2)
    array([0.25, 0.5 , 1.  ])
    """
    order = np.argsort(age, kind="stable")
    ages, ends = _steps(age[order])
    labelled = np.diff(np.cumsum(is_labelled[order].astype(np.float64))[ends], prepend=0.0)
    gone_before = np.concatenate([[0.0], ends[:-1] + 1.0])
    stays = np.cumprod(1 - labelled / (age.size - gone_before))
    steps = labelled > 0
    return ArrivalCurve(ages[steps], 1 - stays[steps])


def _steps(values: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The distinct values of a sorted array, and the last place of each."""
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True))
    return values[ends], ends


def _before(weights: Floats, places: Floats, limits: Floats) -> Floats:
    """The sum of the weights at sorted ``places`` that lie below each limit."""
    sums = np.concatenate([np.zeros_like(weights[..., :1]), np.cumsum(weights, axis=-1)], axis=-1)
    return np.take(sums, np.searchsorted(places, limits, side="left"), axis=-1)
