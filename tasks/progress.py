"""A progress bar in the Prefect UI for runs of many batches."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flywheel.context import PipelineContext, at

if TYPE_CHECKING:
    import polars as pl


class RunProgress:
    """How far event times have come towards ``as_of``; the bar appears with the second batch, as most runs have one."""

    def __init__(self, context: PipelineContext, as_of: datetime) -> None:
        self._pipeline = context.name
        self._as_of = as_of
        self._start: datetime | None = None
        self._artifact: UUID | None = None

    def advance(self, rows: pl.DataFrame) -> None:
        """Note that these rows, with their column ``event_time``, are done."""
        from flywheel.lake.span import time_span

        times = time_span(rows)
        if times is not None:
            self.reach(*times)

    def reach(self, first: datetime, last: datetime) -> None:
        """Note that what happened from ``first`` to ``last`` is done."""
        if self._start is None:
            self._start = first
            return
        self._show(100 * (last - self._start) / max(self._as_of - self._start, last - self._start))

    def _show(self, percent: float) -> None:
        percent = min(max(percent, 0.0), 100.0)
        if self._artifact is not None:
            update_progress_artifact(self._artifact, percent)
            return
        self._artifact = create_progress_artifact(
            percent, key=f"progress-{self._pipeline}", description=f"{self._pipeline}: done up to {at(self._as_of)}"
        )
