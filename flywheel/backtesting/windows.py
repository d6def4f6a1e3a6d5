"""Which past windows can be looked at: whole ones whose labels have had their time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flywheel.context import PipelineContext
from flywheel.errors import FlywheelError
from flywheel.feedback.batch import feedback_config
from flywheel.lake.span import before
from flywheel.performance.known import joined_by
from flywheel.performance.truth import task_of
from flywheel.performance.windows import Window, windows_between


@dataclass(frozen=True)
class PastWindow:
    """A window of event time, and the model version that is tried on it, as its labels were known at ``as_of``."""

    window: Window
    version: int
    as_of: datetime


def past_windows(context: PipelineContext, version: int | None, as_of: datetime, most: int) -> list[PastWindow]:
    """Return the newest ``most`` windows whose labels have all had the time to come, oldest first.

    ``version`` None is the champion.

    Raises
    ------
    FlywheelError
        There is no champion, or nothing says what labels are compared with.
    NotFoundError
        There is no such version.
    """
    task_of(context.pipeline)
    tried = _version(context, version)
    joined = joined_by(context, as_of)
    dates = context.tables.predictions.dates()
    length = context.pipeline.performance.window or timedelta(0)
    if joined is None or not dates:
        return []
    closed = before(joined.until, feedback_config(context).max_delay)
    oldest = datetime.combine(dates[0], datetime.min.time(), closed.tzinfo)
    found = [window for window in windows_between(oldest, closed, length) if window.end <= closed]
    return [PastWindow(window, tried, as_of) for window in found[-most:]]


def _version(context: PipelineContext, version: int | None) -> int:
    model_id = context.pipeline.inference.model_id
    if version is not None:
        return context.registry.get(model_id, version).version
    champion = context.registry.champion(model_id)
    if champion is None:
        raise FlywheelError(
            f"model {model_id!r} has no champion yet",
            state="nothing was tried",
            next_step=f"flywheel run retrain -p {context.name}  (trains the first champion on training.bootstrap)",
        )
    return champion.version
