"""What every task of Flywheel has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from flywheel.errors import FlywheelError, TransientError

P = ParamSpec("P")
R = TypeVar("R")


def step(
    name: str, *, retries: int = 0, retry_delay_seconds: float = 5, timeout_seconds: float | None = None
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task that is neither cached nor stored: what happened is in our own ledger, not in Prefect's results."""
    return partial(  # type: ignore[return-value]
        task,
        name=name,
        retries=retries,
        retry_delay_seconds=retry_delay_seconds,
        retry_condition_fn=_may_pass,
        timeout_seconds=timeout_seconds,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def _may_pass(_task: Task[..., object], _run: TaskRun, state: State[object]) -> bool:
    """Retry what may have passed by then; most of our own errors wait for a person."""
    return isinstance(state.data, TransientError) or not isinstance(state.data, FlywheelError)
