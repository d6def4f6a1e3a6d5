"""Runs whose process is gone: a server that was stopped with its worker still thinks that they are running."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from httpx import HTTPError
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from deployments.names import WORK_POOL

_TAKEN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def crash_orphans() -> list[str]:
    """Mark every run that a worker had taken and that lives no more as crashed, and return a line for each.

    All workers are on this machine, and none may be running. Otherwise these runs would be shown as running until they
    are noticed for their silence, and hold their deployment's one place.
    """
    taken = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_TAKEN)))
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL]))
    lines = []
    try:
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=taken, work_pool_filter=pool, limit=200):
                if _lives(run):
                    continue
                # It may have been deleted since.
                with suppress(ObjectNotFound):
                    client.set_flow_run_state(run.id, Crashed(message="its process ended with the worker"), force=True)
                    lines.append(f"run {run.name}: was under way when its worker stopped, now marked as crashed")
    except HTTPError as error:
        lines.append(f"could not look for runs that ended with the worker ({error!r}); reconcile settles them")
    return lines


def _lives(run: FlowRun) -> bool:
    """Whether a run's process goes on without its worker; its number may be another process's by now."""
    try:
        arguments = Path(f"/proc/{int(run.infrastructure_pid or '')}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False
    return b"prefect" in arguments
