"""The steps of ``flows/backtest.py``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from prefect.artifacts import create_table_artifact

from tasks.connect import connect
from tasks.step import step

if TYPE_CHECKING:
    from flywheel.backtesting.backtest import Tried
    from flywheel.backtesting.compared import Compared
    from flywheel.backtesting.windows import PastWindow
    from flywheel.context import PipelineContext


@step("find past windows", retries=2)
def find_windows(context: PipelineContext, version: int | None, as_of: datetime, most: int) -> list[PastWindow]:
    """Find the windows whose labels have had their time."""
    from flywheel.backtesting import windows

    return windows.past_windows(context, version, as_of, most)


@step("try on a window", retries=2)
def try_window(past: PastWindow, pipeline: str) -> Tried:
    """Ask the version about a window's rows, and check the window for drift; nothing is stored."""
    from flywheel.backtesting import backtest

    return backtest.backtest(connect(pipeline), past)


def compare_windows(tried: Sequence[Tried], metric: str) -> Compared:
    """Put the version beside what was served."""
    from flywheel.backtesting.compared import compare

    return compare(tried, metric)


def publish_backtest(context: PipelineContext, tried: Sequence[Tried]) -> None:
    """Show a line a window: every metric of the version and of what was served, and what drifted."""
    from flywheel.performance.wording import days

    rows = [
        {
            "window": days(each.window),
            "rows": each.rows,
            "labels": each.labelled,
            **each.found,
            **{f"{name} served": value for name, value in each.served.items()},
            "learned from": each.learned,
            "drift": each.drift,
            "features": ", ".join(each.features),
        }
        for each in tried
    ]
    create_table_artifact(rows, key=f"backtest-{context.name}", description=f"Backtest of {context.name} by windows")
