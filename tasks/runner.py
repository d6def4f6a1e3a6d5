"""What runs the shards of a flow that is a map over partitions: threads of this process, or processes of Dask.

A shard is some batches, days or windows: coarse, since a task on Dask costs about a tenth of a second. What is sent to
it is its name: it opens the pipeline where it runs, reads the lake, writes to the lake, and answers with counts.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeVar

from prefect import Task
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import Field, ValidationError

from flywheel.errors import FlywheelError
from flywheel.settings import Settings

Shard = TypeVar("Shard")
R = TypeVar("R")


class RunnerSettings(Settings):
    """How many shards run at once, and where."""

    runner: Literal["threads", "dask"] = Field(default="threads", description="What runs shards")
    runner_workers: int | None = Field(default=None, ge=1, le=1_000, description="Shards at once")
    dask_address: str | None = Field(default=None, description="The scheduler of a cluster that is there already")

    @property
    def workers(self) -> int:
        """Shards at once; default: as many as there are processors."""
        return self.runner_workers or os.cpu_count() or 1


class ShardRunner(ThreadPoolTaskRunner):
    """Stands for the runner that the settings name when a run starts: a flow is declared before anybody asks for it."""

    def duplicate(self) -> TaskRunner[Any]:  # type: ignore[override]
        settings = runner_settings()
        if settings.runner == "threads":
            return ThreadPoolTaskRunner(max_workers=settings.workers)
        return _dask_runner(settings)


def runner_settings() -> RunnerSettings:
    """Read the settings.

    Raises
    ------
    FlywheelError
        One of them is not what it may be.
    """
    try:
        return RunnerSettings()
    except ValidationError as error:
        wrong = "; ".join(f"FLYWHEEL_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors())
        raise FlywheelError(
            f"can't tell what runs the shards: {wrong}",
            state="nothing was started",
            next_step="set FLYWHEEL_RUNNER to threads or dask",
        ) from error


def each_shard(step: Task[..., R], shards: Iterable[Shard], *common: object) -> Iterator[R]:
    """Run ``step(shard, *common)`` for each shard, several at once, and yield the answers in the order of the shards.

    No more are begun than two for each worker, so that whoever stops asking (the model is down) has little under way;
    that is waited for. A shard that fails ends the run in its turn, with what came before it done.
    """
    ahead = 2 * runner_settings().workers
    waiting: deque[PrefectFuture[R]] = deque()
    try:
        for shard in shards:
            waiting.append(step.submit(shard, *common))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.wait()


def _dask_runner(settings: RunnerSettings) -> TaskRunner[Any]:
    try:
        from tasks.dask_runner import dask_runner
    except ImportError as error:
        raise FlywheelError(
            f"FLYWHEEL_RUNNER is dask, which is not installed: {error}",
            state="nothing was started",
            next_step="uv pip install 'flywheel-batch[dask]', or: unset FLYWHEEL_RUNNER",
        ) from error
    return dask_runner(settings.workers, settings.dask_address)
