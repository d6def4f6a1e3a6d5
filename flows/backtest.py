"""Try a model version, and the drift rules of the manifest, on past windows; nothing is stored."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from prefect import flow
from pydantic import BaseModel, Field

from flows.parameters import PipelineName, logical_time
from tasks.backtest import compare_windows, find_windows, publish_backtest, try_window
from tasks.connect import connect
from tasks.runner import ShardRunner, each_shard

Version = Annotated[int, Field(ge=1)]
Windows = Annotated[int, Field(ge=1, le=1_000)]


class BacktestSummary(BaseModel):
    """How a version did beside what was served, on the windows that it did not learn from.

    ``value`` and ``served`` are the metric's means over ``compared`` windows, each counting by its labels; ``better``
    are the windows where the version is better, ``drifted`` those of all windows where the drift rules find drift.
    """

    pipeline: str
    version: int | None
    metric: str
    windows: int
    compared: int
    value: float | None
    served: float | None
    better: int
    drifted: int
    by_window: list[str]


@flow(name="backtest", flow_run_name="backtest {pipeline}", task_runner=ShardRunner())
def backtest(
    pipeline: PipelineName, as_of: datetime | None = None, version: Version | None = None, windows: Windows = 26
) -> BacktestSummary:
    """Try a version of a pipeline's model on what was logged.

    Args:
        pipeline: The pipeline's name.
        as_of: Run as if it were this time; only labels that had arrived by then are seen. Default: now.
        version: The version to try. Default: the champion.
        windows: Try the newest so many windows whose labels have had their time.
    """
    when = logical_time(as_of)
    context = connect(pipeline)
    past = find_windows(context, version, when, windows)
    tried = list(each_shard(try_window, past, context.name))
    publish_backtest(context, tried)
    metric = str(context.pipeline.performance.metric)
    compared = compare_windows(tried, metric)
    return BacktestSummary(
        pipeline=pipeline,
        version=past[0].version if past else version,
        metric=metric,
        windows=len(tried),
        compared=compared.windows,
        value=compared.found,
        served=compared.served,
        better=compared.better,
        drifted=sum(each.drift == "drift" for each in tried),
        by_window=compared.lines,
    )
