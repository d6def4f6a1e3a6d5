"""Does it matter? What labels show of the model that serves, and where there are none, what its scores let expect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import polars as pl

from flywheel.context import PipelineContext
from flywheel.drift.severity import Severity
from flywheel.feedback.batch import feedback_config
from flywheel.lake.span import before
from flywheel.metadata.queries.performance import performance_windows
from flywheel.performance.decay import Decay, decay_of_scores, decay_of_values
from flywheel.performance.intervals import LabelledWindow
from flywheel.performance.known import HOUR, joined_by, read_rows
from flywheel.performance.measured import MeasuredWindow
from flywheel.performance.metrics import LARGER_IS_BETTER
from flywheel.performance.truth import Task, task_of
from flywheel.performance.weights import Arrivals, youngest_measurable
from flywheel.registry.version import RegisteredModel
from flywheel.training.correction import Correction

Verdict = Literal["harmful", "harmless", "unknown"]
_WINDOWS = 20


@dataclass(frozen=True)
class Harm:
    """Whether the model that serves is losing, and how that is known.

    ``decay`` is what the labels show; None where they show nothing yet.
    """

    verdict: Verdict
    reason: str
    decay: Decay | None = None

    @property
    def severity(self) -> Severity:
        """By the share of the loss that correcting the answers would have saved: 1%, 5% and 10%."""
        if self.verdict != "harmful":
            return "none"
        share = self.decay.share if self.decay else 0.0
        return "critical" if share > 0.1 else "high" if share > 0.05 else "medium"


def assess_harm(context: PipelineContext, champion: RegisteredModel | None, as_of: datetime, alpha: float) -> Harm:
    """Judge the champion by its newest performance window as labels show it, else by the metric that is expected.

    Parameters
    ----------
    alpha
        The chance that a model which has not decayed may be called harmful.
    """
    if context.pipeline.feedback is None or context.pipeline.training is None:
        return Harm("unknown", "no labels say whether it matters")
    tolerance = context.pipeline.performance.tolerance
    decay = _newest_decay(context, champion, as_of)
    return _expected(context, tolerance) if decay is None else _shown(decay, alpha, tolerance)


def _shown(decay: Decay, alpha: float, tolerance: float) -> Harm:
    """What the labels say."""
    told = (
        f"correcting its answers would have saved {decay.share:.1%} of the loss ({decay.loss:.3g} over {decay.rows:,} "
        f"labelled rows, p = {decay.p_value:.2g})"
    )
    if decay.p_value < alpha and decay.share > tolerance:
        return Harm("harmful", f"the model has decayed: {told}", decay)
    return Harm("harmless", f"the model has not decayed: {told}", decay)


def _newest_decay(context: PipelineContext, champion: RegisteredModel | None, as_of: datetime) -> Decay | None:
    """What the labels of the champion's own predictions show, those of the last performance window."""
    joined, task = joined_by(context, as_of), task_of(context.pipeline)
    if joined is None or champion is None or task.kind == "anomaly":
        return None
    max_delay, length = feedback_config(context).max_delay, context.pipeline.performance.window or timedelta(0)
    start = before(joined.until, max_delay + length)
    rows = task.usable(read_rows(context, joined, (start, as_of), as_of))
    labelled = rows.filter(pl.col("label").is_not_null(), pl.col("model_version") == champion.version)
    return _decay(task, labelled, max_delay, champion.card.correction) if labelled.height else None


def _decay(task: Task, rows: pl.DataFrame, max_delay: timedelta, first: Correction | None) -> Decay | None:
    """Weigh the rows for the labels that are still to come; those that are too young for that are left out."""
    hours = max_delay / HOUR
    delay, age, confidence = (rows[name].to_numpy() for name in ("delay", "age", "confidence"))
    arrivals = Arrivals(task.strata(rows, hours), delay, age, confidence, hours, task.least_arrived)
    window = LabelledWindow(arrivals, np.arange(rows.height), task.beside_truth(rows))
    weights = np.where(age >= youngest_measurable(arrivals.curves(), hours, task.least_arrived), window.weights(), 0.0)
    times = rows["event_time"].dt.epoch("s").to_numpy().astype(np.float64)
    if task.kind == "regression":
        return decay_of_values(times, rows["label"].to_numpy(), task.answers(rows), weights, first)
    return decay_of_scores(times, (rows["label"] == task.target).to_numpy(), task.answers(rows), weights, first)


def _expected(context: PipelineContext, tolerance: float) -> Harm:
    """Compare what is expected of the newest window without labels with what the last final one came to."""
    metric = str(context.pipeline.performance.metric)
    windows = performance_windows(context.database, context.name, _WINDOWS)
    final = next((_value(window, metric) for window in windows if window.state == "final"), None)
    expected = next((window.metrics[metric].estimated for window in windows if metric in window.metrics), None)
    if final is None or expected is None:
        return Harm("unknown", "whether it matters is not known yet: no labels show it")
    worse = final - expected if LARGER_IS_BETTER[metric] else expected - final
    told = f"{metric} is expected to be {expected:.3g}, by its scores; it was {final:.3g} in the last final window"
    return Harm("harmful" if worse > tolerance * abs(final) else "harmless", told)


def _value(window: MeasuredWindow, metric: str) -> float | None:
    return window.metrics[metric].value if metric in window.metrics else None
