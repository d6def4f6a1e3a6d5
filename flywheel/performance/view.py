"""Everything that is known of a pipeline's predictions at a time, and what it says of a window."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl

from flywheel.context import PipelineContext, at
from flywheel.feedback.batch import feedback_config
from flywheel.lake.span import before
from flywheel.performance.answers import AnswerBins
from flywheel.performance.delays import ever_labelled_by
from flywheel.performance.estimate import LEAST_LABELS, expected_metrics
from flywheel.performance.intervals import Estimate, LabelledWindow, estimate
from flywheel.performance.known import HOUR, Joined
from flywheel.performance.measured import ALL_VERSIONS, MeasuredWindow, MetricValue
from flywheel.performance.truth import Task
from flywheel.performance.weights import Arrivals
from flywheel.performance.windows import Window


@dataclass(frozen=True)
class View:
    """Everything that is known at a time, and what it says of a window."""

    context: PipelineContext
    task: Task
    joined: Joined
    as_of: datetime
    rows: pl.DataFrame

    @cached_property
    def max_delay(self) -> timedelta:
        return feedback_config(self.context).max_delay

    @cached_property
    def labelled(self) -> pl.DataFrame:
        """The rows with a label; ``place`` is where each is among the arrivals."""
        return self.rows.filter(pl.col("label").is_not_null()).with_row_index("place")

    @cached_property
    def arrivals(self) -> Arrivals:
        rows, hours = self.labelled, self.max_delay / HOUR
        stratum = self.task.strata(rows, hours)
        delay, age, confidence = (rows[name].to_numpy() for name in ("delay", "age", "confidence"))
        return Arrivals(stratum, delay, age, confidence, hours, self.task.least_arrived)

    @cached_property
    def ever_labelled(self) -> float | None:
        """The share of predictions that have a label when ``max_delay`` is over; None while none is so old."""
        rows, hours = self.rows.filter(pl.col("age") >= 0), self.max_delay / HOUR
        if rows.is_empty() or float(rows["age"].max()) < hours:  # type: ignore[arg-type]
            return None
        in_time = pl.col("label").is_not_null() & (pl.col("delay") <= hours)
        age = pl.when(in_time).then("delay").otherwise("age").clip(upper_bound=hours)
        timed = rows.select(is_labelled=in_time, age=age)
        curve = ever_labelled_by(timed["age"].to_numpy(), timed["is_labelled"].to_numpy())
        return float(curve.at(np.array([hours]))[0])

    def of_window(self, window: Window) -> Iterator[MeasuredWindow]:
        """Measure all predictions of a window, then those of each model version."""
        inside = pl.col("event_time").is_between(window.start, window.end, closed="left")
        rows, labelled = self.rows.filter(inside), self.labelled.filter(inside)
        closed = self.labelled.filter(pl.col("event_time") < self._closed_until(window))
        if rows.is_empty():
            return
        yield self._measured(window, ALL_VERSIONS, rows, labelled, closed)
        for version in rows["model_version"].drop_nulls().unique().sort():
            own = pl.col("model_version") == version
            mine = closed.filter(own)
            learned = mine if mine.height >= LEAST_LABELS else closed
            yield self._measured(window, version, rows.filter(own), labelled.filter(own), learned)

    def _closed_until(self, window: Window) -> datetime:
        """What happened before it has had its time, and lies before the window: it may tell what scores are worth."""
        return min(window.start, before(self.joined.until, self.max_delay))

    def _measured(
        self, window: Window, version: int, rows: pl.DataFrame, labelled: pl.DataFrame, closed: pl.DataFrame
    ) -> MeasuredWindow:
        is_final = window.end <= before(self.joined.until, self.max_delay)
        found = self._realised(labelled, rows, f"{self.context.name} {version} {at(window.start)}")
        estimated = expected_metrics(self.task, closed, rows, self.context.pipeline.input_features)
        share = labelled.height / rows.height if is_final and rows.height else self.ever_labelled
        return MeasuredWindow(
            version=version,
            start=window.start,
            end=window.end,
            as_of=self.as_of,
            state="final" if is_final else "open",
            rows=rows.height,
            labelled=labelled.height,
            expected=None if share is None else max(rows.height * share, labelled.height),
            measured=found.rows,
            metrics=_metrics(found, estimated),
            note=self._note(rows, labelled, found, is_final=is_final),
        )

    def _realised(self, labelled: pl.DataFrame, rows: pl.DataFrame, name: str) -> Estimate:
        if labelled.is_empty():
            return Estimate({}, 0, 0.0)
        members = labelled["place"].cast(pl.Int64).to_numpy()
        answers = AnswerBins.of(self.task.answers(labelled), self.task.answers(rows))
        window = LabelledWindow(self.arrivals, members, self.task.beside_truth(labelled), answers)
        return estimate(window, seed=zlib.crc32(name.encode()))

    def _note(self, rows: pl.DataFrame, labelled: pl.DataFrame, found: Estimate, *, is_final: bool) -> str:
        """Say in words why something is not known."""
        counted = f"{labelled.height:,} of {rows.height:,} predictions have a label"
        if not found.rows:
            too_young = f"; none is {found.youngest:.3g} h old, when every class can have come"
            return f"not known{'' if is_final else ' yet'}: {counted}{too_young if labelled.height else ''}"
        longest, hours = float(self.arrivals.age.max()), self.max_delay / HOUR
        if longest < hours:
            return f"delays are known up to {longest:.3g} of {hours:.3g} h only"
        return ""


def _metrics(found: Estimate, estimated: dict[str, float]) -> dict[str, MetricValue]:
    """Put what the labels say beside what was to be expected."""
    names = dict.fromkeys([*found.metrics, *estimated])
    return {
        name: MetricValue(
            value=found.metrics[name].value if name in found.metrics else None,
            low=found.metrics[name].low if name in found.metrics else None,
            high=found.metrics[name].high if name in found.metrics else None,
            estimated=estimated.get(name),
        )
        for name in names
    }
