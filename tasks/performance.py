"""The step of ``flows/measure_performance.py``."""

from __future__ import annotations

from datetime import datetime

from flywheel.context import PipelineContext
from flywheel.performance.measure import Performance, measure_performance
from tasks.step import step


@step("measure performance", retries=2)
def measure(context: PipelineContext, as_of: datetime) -> Performance:
    """Measure the windows that are not final, and store them."""
    return measure_performance(context, as_of)
