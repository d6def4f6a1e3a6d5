"""How sure a metric is, by the Bayesian bootstrap (Rubin, 1981) of whole predictions.

Each replicate gives every row an exponential weight, estimates the distribution of delays anew, and with it the metric:
an interval of the metric alone would be too narrow, since the weights are estimates too. Replicates are computed by the
block: none of them is a loop over rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flywheel.performance.answers import AnswerBins
from flywheel.performance.delays import Floats
from flywheel.performance.metrics import Booleans, MeasuredRows
from flywheel.performance.weights import Arrivals, Integers, inverse_arrival, youngest_measurable

REPLICATES = 200
LEVEL = 0.95
# So many rows of a window, and as many others, are drawn from; more say nothing more.
MOST_DRAWN = 20_000
# Numbers that are held at once: 16 MB each of a handful of arrays.
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A metric's value, and where its true value lies with a probability of 95%; None: that can't be told."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Estimate:
    """What the labels of a window say: its metrics, of how many rows, those from ``youngest`` hours of age on."""

    metrics: dict[str, Interval]
    rows: int
    youngest: float


@dataclass(frozen=True)
class LabelledWindow:
    """The labelled rows of one window, among the labels that tell how late labels are.

    Attributes
    ----------
    arrivals
        The labels of this window and of those before it.
    members
        Which of them are the window's, in the order of ``rows``: places in the arrays of ``arrivals``.
    rows
        The window's labelled predictions.
    answers
        How their answers, and those of all of the window's predictions, are spread; None: that is not looked at.
    """

    arrivals: Arrivals
    members: Integers
    rows: MeasuredRows
    answers: AnswerBins | None = None

    def weights(self, multiplicity: Floats | None = None) -> Floats:
        """Return what each member counts; with ``multiplicity``, of shape (replicates, arrivals), by replicate."""
        confidence = self.arrivals.confidence[self.members]
        own = confidence if multiplicity is None else confidence * multiplicity[..., self.members]
        if not self.is_waiting:
            return own
        stratum, age = self.arrivals.stratum[self.members], self.arrivals.age[self.members]
        curves = self.arrivals.curves(multiplicity)
        arrived = own * inverse_arrival(curves, stratum, age, self.arrivals.max_delay, self.arrivals.least)
        return arrived if self.answers is None else self.answers.spread(arrived)

    @property
    def is_waiting(self) -> bool:
        """Whether labels may still come; if not, nothing has to be known about delays."""
        return bool((self.arrivals.age[self.members] < self.arrivals.max_delay).any())

    def only(self, wanted: Booleans) -> LabelledWindow:
        """Return the window with only those of its rows."""
        places = np.flatnonzero(wanted)
        return LabelledWindow(self.arrivals, self.members[places], self.rows.take(places), self._answers_of(places))

    def thinned(self, random: np.random.Generator, most: int) -> LabelledWindow:
        """Return at most ``most`` of the members, and as many of the others, drawn without replacement."""
        is_member = np.zeros(self.arrivals.delay.size, dtype=bool)
        is_member[self.members] = True
        members = np.sort(_drawn(random, np.arange(self.members.size), most))
        others = _drawn(random, np.flatnonzero(~is_member), most) if self.is_waiting else np.zeros(0, dtype=np.int64)
        kept = np.concatenate([self.members[members], others])
        return LabelledWindow(
            self.arrivals.take(kept), np.arange(members.size), self.rows.take(members), self._answers_of(members)
        )

    def _answers_of(self, places: Integers) -> AnswerBins | None:
        return None if self.answers is None else self.answers.take(places)


def estimate(window: LabelledWindow, *, seed: int, replicates: int = REPLICATES) -> Estimate:
    """Return a window's metrics as they will be once all labels are in; none where no row is old enough."""
    arrivals = window.arrivals
    youngest = 0.0
    if window.is_waiting:
        youngest = youngest_measurable(arrivals.curves(), arrivals.max_delay, arrivals.least)
    measured = window.only(arrivals.age[window.members] >= youngest)
    if measured.members.size == 0:
        return Estimate({}, 0, youngest)
    values = _values(measured)
    random = np.random.default_rng(seed)
    drawn = measured.thinned(random, MOST_DRAWN)
    # Of a closed window the spread shrinks with the rows; of an open one that of the delays does not.
    shrink = 1.0 if measured.is_waiting else (drawn.members.size / measured.members.size) ** 0.5
    centre, draws = _values(drawn), _draws(drawn, random, replicates)
    metrics = {
        name: _interval(value, (draws[name] - centre[name]) * shrink)
        for name, value in values.items()
        if np.isfinite(value)
    }
    return Estimate(metrics, int(measured.members.size), youngest)


def _values(window: LabelledWindow) -> dict[str, float]:
    return {name: float(value) for name, value in window.rows.metrics(window.weights()).items()}


def _draws(window: LabelledWindow, random: np.random.Generator, replicates: int) -> dict[str, Floats]:
    """Each metric of every replicate."""
    found: dict[str, list[Floats]] = {}
    for multiplicity in _multiplicities(random, window.arrivals.delay.size, replicates):
        for name, values in window.rows.metrics(window.weights(multiplicity)).items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def _multiplicities(random: np.random.Generator, rows: int, replicates: int) -> Iterator[Floats]:
    block = max(1, _BLOCK // max(rows, 1))
    for start in range(0, replicates, block):
        yield random.standard_exponential((min(block, replicates - start), rows))


def _drawn(random: np.random.Generator, places: Integers, most: int) -> Integers:
    return places if places.size <= most else random.choice(places, most, replace=False)


def _interval(value: float, deviations: Floats) -> Interval:
    known = deviations[np.isfinite(deviations)]
    if known.size < 2 or known.max() == known.min():
        return Interval(value, None, None)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, value + float(low), value + float(high))
