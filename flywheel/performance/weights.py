"""What each labelled prediction counts while others still wait for their label.

Late labels are of another class than quick ones: on flights, a late arrival is known later. A labelled row of class c
and age a counts 1 / F_c(a), the inverse of the probability that its label has arrived by now (Horvitz and Thompson,
1952; Robins and Rotnitzky, 1992), so that it stands for those like it whose labels have not.

It assumes that, within a class, how long a label takes has nothing to do with the prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.performance.delays import ArrivalCurve, Floats, arrived_by

Integers = npt.NDArray[np.int64]

# Below it one row would stand for more than ten.
LEAST_ARRIVED = 0.1
# The values of one bin are not alike, so that of a bin that has hardly begun to arrive the wrong ones are here.
LEAST_ARRIVED_OF_VALUES = 0.3
# A distribution of fewer delays than these says little; such classes share one.
LEAST_ROWS = 30
VALUE_STRATA = 100


@dataclass(frozen=True)
class Arrivals:
    """Labels that have arrived, of open and of closed windows; all arrays have shape (n,).

    Attributes
    ----------
    stratum
        What decides how late a label is: its class, or the bin of its value; 0 to ``strata`` − 1.
    delay, age
        Hours from the prediction's event to its label, and to the horizon.
    confidence
        How much each label counts, in (0, 1].
    max_delay
        Hours; what arrives later is not waited for.
    least
        Of every stratum so large a share must have been able to arrive; younger rows are left out.
    """

    stratum: Integers
    delay: Floats
    age: Floats
    confidence: Floats
    max_delay: float
    least: float = LEAST_ARRIVED

    @property
    def strata(self) -> int:
        return int(self.stratum.max()) + 1 if self.stratum.size else 0

    def take(self, places: Integers) -> Arrivals:
        """Return the labels at these places."""
        parts = {name: getattr(self, name)[places] for name in ("stratum", "delay", "age", "confidence")}
        return replace(self, **parts)

    def curves(self, multiplicity: Floats | None = None) -> list[ArrivalCurve]:
        """Return F_c of each stratum, given arrival within ``max_delay``; empty where none of it arrives in time.

        ``multiplicity``, of shape (replicates, n), counts each row that often: the bootstrap's draws.
        """
        counts = self.confidence if multiplicity is None else multiplicity * self.confidence
        in_time = self.delay <= self.max_delay
        found = []
        for number in range(self.strata):
            own = np.flatnonzero((self.stratum == number) & in_time)
            truncation = np.minimum(self.age[own], self.max_delay)
            found.append(arrived_by(self.delay[own], truncation, counts[..., own]) if own.size else _NEVER)
        return found


_NEVER = ArrivalCurve(np.zeros(0), np.zeros(0))


def youngest_measurable(curves: list[ArrivalCurve], max_delay: float, least: float = LEAST_ARRIVED) -> float:
    """Return the age, in hours, from which on every class has been able to arrive, with a probability of ``least``.

    Younger rows are left out of every estimate: a class that could not yet arrive is missing among them altogether, and
    no weight makes up for that.
    """
    return min(max((curve.age_of(least) for curve in curves), default=max_delay), max_delay)


def inverse_arrival(
    curves: list[ArrivalCurve], stratum: Integers, age: Floats, max_delay: float, least: float = LEAST_ARRIVED
) -> Floats:
    """Return 1 / F_c(age) of rows that are old enough, shape (n,) or (replicates, n); 1 from ``max_delay`` on.

    It is at most 2 / ``least``, also in a replicate whose curve has come out lower.
    """
    shape = curves[0].probability.shape[:-1] if curves else ()
    weights = np.ones((*shape, stratum.size))
    for number, curve in enumerate(curves):
        open_rows = np.flatnonzero((stratum == number) & (age < max_delay))
        if open_rows.size:
            weights[..., open_rows] = 1 / np.maximum(curve.at(age[open_rows]), least / 2)
    return weights


def class_strata(labels: pl.Series) -> Integers:
    """Number the classes, the commonest first. Those with fewer than ``LEAST_ROWS`` labels share a number: the last
    one, or, if together they are too few as well, that of the rarest of the others.

    >>> labels = pl.Series(["late"] * 40 + ["lost"] * 35 + ["held"] * 9 + ["on_time"] * 50)
    >>> class_strata(labels)[[0, 40, 75, 84]].tolist()
    [1, 2, 2, 0]
    """
    counts = labels.value_counts(name="rows").sort("rows", labels.name, descending=[True, False])
    common = counts.filter(pl.col("rows") >= LEAST_ROWS)
    rare = labels.len() - int(common["rows"].sum())
    rest = max(common.height - (rare < LEAST_ROWS), 0)
    numbers = labels.replace_strict(common[labels.name], pl.int_range(common.height, eager=True), default=rest)
    found: Integers = numbers.cast(pl.Int64).to_numpy()
    return found


def value_strata(values: Floats, reference: Floats, bins: int = VALUE_STRATA) -> Integers:
    """Number the bins of a regression's labels by the quantiles of ``reference``, the labels of closed windows.

    Open windows' own would not do: their labels are those that came quickly.

    >>> value_strata(np.array([-5.0, 0.6, 99.0]), np.linspace(0, 1, 600), bins=2).tolist()
    [0, 1, 1]
    """
    bins = max(1, min(bins, reference.size // LEAST_ROWS))
    edges = np.unique(np.quantile(reference, np.arange(1, bins) / bins)) if bins > 1 else np.zeros(0)
    found: Integers = np.searchsorted(edges, values, side="right").astype(np.int64)
    return found
