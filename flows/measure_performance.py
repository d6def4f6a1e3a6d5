"""Measure how well the model does, by windows of event time, from the labels that have come so far."""

from __future__ import annotations

from datetime import datetime

from prefect import flow
from pydantic import BaseModel

from flows.parameters import PipelineName, logical_time
from tasks.connect import connect
from tasks.performance import measure
from tasks.reports import publish_performance


class PerformanceSummary(BaseModel):
    """What was measured: windows that became final, and those still open; the newest value that is known."""

    pipeline: str
    final: int
    open: int
    metric: str
    newest: str


@flow(name="measure-performance", flow_run_name="measure performance {pipeline}")
def measure_performance(pipeline: PipelineName, as_of: datetime | None = None) -> PerformanceSummary:
    """Measure every window that is not final yet, and store what it came to.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only labels received by then are seen. Default: now.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    performance = measure(context, when)
    publish_performance(context, performance)
    return PerformanceSummary(
        pipeline=pipeline,
        final=performance.count("final"),
        open=performance.count("open"),
        metric=performance.metric,
        newest=performance.newest,
    )
