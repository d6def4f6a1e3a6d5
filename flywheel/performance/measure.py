"""Measures a pipeline's performance by windows: reads once what is known, then looks at each that is not final."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from flywheel.context import PipelineContext, at
from flywheel.feedback.batch import feedback_config
from flywheel.lake.span import before
from flywheel.metadata.queries.performance import final_windows, store_windows
from flywheel.performance.known import Joined, joined_by, read_rows
from flywheel.performance.measured import ALL_VERSIONS, MeasuredWindow
from flywheel.performance.truth import Task, task_of
from flywheel.performance.view import View
from flywheel.performance.windows import Window, window_of, windows_between
from flywheel.performance.wording import UNKNOWN, days, in_words

# After a long pause the newest of them are measured, and no others: what is read at once has a bound.
MOST_WINDOWS = 60


@dataclass(frozen=True)
class Performance:
    """The windows of a pipeline that a run looked at, oldest first; ``metric`` is the one that is shown first."""

    pipeline: str
    as_of: datetime
    metric: str
    windows: list[MeasuredWindow]
    note: str = ""

    def count(self, state: str) -> int:
        """Count the windows in a state, each once however many versions answered in it."""
        return sum(window.state == state for window in self.windows if window.version == ALL_VERSIONS)

    @property
    def newest(self) -> str:
        """The newest window in which the metric is known, in words; or why none is."""
        for window in reversed(self.windows):
            found = window.metrics.get(self.metric)
            if window.version == ALL_VERSIONS and found is not None and found.value is not None:
                return f"{in_words(found)}, {days(window)}, {window.state}"
        return self.note or next((window.note for window in reversed(self.windows)), UNKNOWN)


def measure_performance(context: PipelineContext, as_of: datetime) -> Performance:
    """Measure every window that is not final, as it is known at ``as_of``, and store what it came to."""
    feedback_config(context)
    task, metric = task_of(context.pipeline), str(context.pipeline.performance.metric)
    joined = joined_by(context, as_of)
    if joined is None:
        return Performance(context.name, as_of, metric, [], "not known yet: no feedback has been joined")
    windows = _windows(context, joined, as_of)
    rows = _read(context, task, joined, windows, as_of) if windows else pl.DataFrame()
    view = View(context, task, joined, as_of, rows)
    found = [measured for window in windows for measured in view.of_window(window)]
    if not found:
        note = f"nothing new: up to {at(as_of)} there are no predictions in windows that are not final"
        return Performance(context.name, as_of, metric, [], note)
    store_windows(context.database, context.name, context.pipeline.inference.model_id, found)
    return Performance(context.name, as_of, metric, found)


def _windows(context: PipelineContext, joined: Joined, as_of: datetime) -> list[Window]:
    """The windows that are not final, as far back as history goes, or since the last one that is."""
    config, done = context.pipeline.performance, final_windows(context.database, context.name)
    length = config.window or timedelta(0)
    first = before(joined.until, feedback_config(context).max_delay + (config.history or length))
    since = min(first, max(end for _, end in done)) if done else first
    found = list(windows_between(since, as_of, length))
    return [window for window in found if (window.start, window.end) not in done][-MOST_WINDOWS:]


def _read(context: PipelineContext, task: Task, joined: Joined, windows: list[Window], as_of: datetime) -> pl.DataFrame:
    config = context.pipeline.performance
    length = config.window or timedelta(0)
    back = before(joined.until, feedback_config(context).max_delay + (config.history or length))
    start = min(windows[0].start, window_of(back, length).start)
    features = [feature.name for feature in context.pipeline.input_features] if task.kind == "regression" else []
    return task.usable(read_rows(context, joined, (start, windows[-1].end), as_of, features))
