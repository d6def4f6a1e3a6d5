"""Streams whose labels come late, and later for one class: what is known of them now, and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flywheel.performance.answers import AnswerBins
from flywheel.performance.delays import Floats
from flywheel.performance.intervals import Estimate, LabelledWindow, estimate
from flywheel.performance.metrics import Booleans, ClassRows, MeasuredRows, ValueRows
from flywheel.performance.weights import LEAST_ARRIVED, LEAST_ARRIVED_OF_VALUES, Arrivals, Integers, value_strata

MAX_DELAY = 72.0
# What the laws below come to: by simulation of ten million rows, by integration, and rmse = sqrt(3² + (10 / 2)²).
TRUTH = {"log_loss": 0.4772, "accuracy": 0.7773, "average_precision": 0.5250, "rmse": 34**0.5, "mae": 4.3711}


@dataclass(frozen=True)
class Seen:
    """A window that is still open: as estimated, as its labelled rows look, and as it will look in the end."""

    corrected: Estimate
    naive: dict[str, float]
    final: dict[str, float]


def ages(random: np.random.Generator, closed: int, still_open: int) -> Floats:
    """Hours since each prediction: those of closed windows first, the open window's after them."""
    return np.concatenate([random.uniform(MAX_DELAY, 3 * MAX_DELAY, closed), random.uniform(0, MAX_DELAY, still_open)])


def late_positives(seed: int, closed: int = 3000, still_open: int = 1500, replicates: int = 200) -> Seen:
    """A quarter is positive, and labelled after 28 hours on average; the rest after 6."""
    random = np.random.default_rng(seed)
    age = ages(random, closed, still_open)
    truth = random.random(age.size) < 0.25
    score = 1 / (1 + np.exp(-(random.normal(truth, 1.0) - 0.5 + np.log(1 / 3))))
    delay = np.where(truth, 8 + random.gamma(2.0, 10.0, age.size), random.gamma(1.5, 4.0, age.size))
    rows = ClassRows(truth, score, (score > 0.5) == truth)
    strata = truth.astype(np.int64)
    return _seen(seed, rows, strata, np.minimum(delay, MAX_DELAY), age, replicates, LEAST_ARRIVED)


def late_values(seed: int, closed: int = 3000, still_open: int = 1500, replicates: int = 200) -> Seen:
    """The label is minutes late, ten on average; each delays it by half an hour, and puts the prediction off."""
    random = np.random.default_rng(seed)
    age = ages(random, closed, still_open)
    value = random.exponential(10.0, age.size)
    error = random.normal(-0.5 * (value - 10.0), 3.0)
    delay = np.minimum(random.gamma(2.0, 3.0, age.size) + value / 2, MAX_DELAY)
    strata = value_strata(value, value[(age >= MAX_DELAY) & (delay <= age)])
    return _seen(seed, ValueRows(error), strata, delay, age, replicates, LEAST_ARRIVED_OF_VALUES)


def _seen(
    seed: int,
    rows: ClassRows | ValueRows,
    strata: Integers,
    delay: Floats,
    age: Floats,
    replicates: int,
    least: float,
) -> Seen:
    is_open, arrived = age < MAX_DELAY, delay <= age
    arrivals = Arrivals(strata[arrived], delay[arrived], age[arrived], np.ones(int(arrived.sum())), MAX_DELAY, least)
    members = np.flatnonzero(is_open[arrived])
    here = _rows(rows, is_open & arrived)
    answers = AnswerBins.of(here.score, rows.score[is_open]) if isinstance(rows, ClassRows) else None
    return Seen(
        corrected=estimate(LabelledWindow(arrivals, members, here, answers), seed=seed, replicates=replicates),
        naive=plain(here, members.size),
        final=plain(_rows(rows, is_open), int(is_open.sum())),
    )


def _rows(rows: ClassRows | ValueRows, wanted: Booleans) -> MeasuredRows:
    if isinstance(rows, ValueRows):
        return ValueRows(rows.error[wanted])
    return ClassRows(rows.truth[wanted], rows.score[wanted], rows.is_right[wanted])


def plain(rows: MeasuredRows, count: int) -> dict[str, float]:
    """The metrics with every row counting once."""
    return {name: float(value) for name, value in rows.metrics(np.ones(count)).items()}
