"""Days of flights measured when they end, with the late ones still in the air, and again when all have landed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from flights_replay import Document, Flights, first_champion, step

from deployments.demo.replay import END, LAST_FEEDBACK, START
from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.context import PipelineContext
from flywheel.metadata.queries.performance import performance_windows
from flywheel.performance.known import joined_by, read_rows
from flywheel.performance.measure import measure_performance
from flywheel.performance.measured import MeasuredWindow
from flywheel.performance.truth import task_of

DAY = timedelta(days=1)
METRICS = ("log_loss", "accuracy", "auc")
# Delays are learned from the days before.
WARM_UP = 7


@dataclass(frozen=True)
class Value:
    """A metric of a day: as its labelled rows look at its end, as estimated then (with its interval), as it was."""

    naive: float
    corrected: float
    low: float
    high: float
    final: float


@dataclass(frozen=True)
class Figures:
    """Over the days: mean error of both, root mean square of it, and how often the interval held the final value."""

    days: int
    naive_bias: float
    corrected_bias: float
    naive_rmse: float
    corrected_rmse: float
    covered: float


def daily(document: Document) -> None:
    """Windows of a day, with the delays of a month."""
    document["spec"]["performance"] = {"window": "1d", "history": "28d"}


def open_days(root: Path, until: datetime = END) -> dict[str, list[Value]]:
    """Score February to December with January's model, day by day, and measure each day at its end and afterwards."""
    naive: dict[datetime, dict[str, float]] = {}
    estimated: dict[datetime, MeasuredWindow] = {}
    with first_champion(root, daily) as flights:
        for as_of in _days(until):
            step(infer, flights, as_of)
            step(join_feedback, flights, as_of)
            context = flights.context
            measure_performance(context, as_of)
            day = as_of - DAY
            naive[day] = _plain(context, day, as_of)
            estimated[day] = next(w for w in performance_windows(context.database, context.name, 3) if w.start == day)
        return _values(flights, naive, estimated)


def figures(values: Sequence[Value]) -> Figures:
    """Of the days after the first ``WARM_UP``."""
    later = values[WARM_UP:]
    naive, corrected = (
        np.array([getattr(value, name) - value.final for value in later]) for name in ("naive", "corrected")
    )
    return Figures(
        days=len(later),
        naive_bias=float(naive.mean()),
        corrected_bias=float(corrected.mean()),
        naive_rmse=float(np.sqrt(np.mean(naive**2))),
        corrected_rmse=float(np.sqrt(np.mean(corrected**2))),
        covered=float(np.mean([value.low <= value.final <= value.high for value in later])),
    )


def _days(until: datetime) -> Iterator[datetime]:
    as_of = START.replace(hour=0) + DAY
    while as_of <= until:
        yield as_of
        as_of += DAY


def _plain(context: PipelineContext, day: datetime, as_of: datetime) -> dict[str, float]:
    """What the rows of a day that have a label at a time come to, each counting once."""
    joined = joined_by(context, as_of)
    assert joined is not None
    task = task_of(context.pipeline)
    rows = task.usable(read_rows(context, joined, (day, day + DAY), as_of)).filter(pl.col("label").is_not_null())
    metrics = task.beside_truth(rows).metrics(np.ones(rows.height))
    return {name: float(metrics[name]) for name in METRICS}


def _values(
    flights: Flights, naive: Mapping[datetime, Mapping[str, float]], estimated: Mapping[datetime, MeasuredWindow]
) -> dict[str, list[Value]]:
    """Put a day's three values side by side; a day on which one of them is not known is left out."""
    step(join_feedback, flights, LAST_FEEDBACK)
    final = {day: _plain(flights.context, day, LAST_FEEDBACK) for day in naive}
    found: dict[str, list[Value]] = {name: [] for name in METRICS}
    for name, values in found.items():
        for day, window in estimated.items():
            known = window.metrics.get(name)
            if known is not None and known.value is not None and known.low is not None and known.high is not None:
                values.append(Value(naive[day][name], known.value, known.low, known.high, final[day][name]))
    return found
