"""Runs whose process is gone: a server that was stopped with its worker still thinks that they are running."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from httpx import HTTPError, HTTPStatusError
from prefect.client.orchestration import SyncPrefectClient, get_client
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

# A worker has it, and it has its deployment's one place.
TAKEN = FlowRunFilterState(
    type=FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
)


def crash_orphans() -> list[str]:
    """Mark every run that a worker had taken and that lives no more as crashed, and return a line for each.

    All workers are on this machine, and none may be running. Otherwise these runs would be shown as running until they
    are noticed for their silence, and hold their deployment's one place.
    """
    taken = FlowRunFilter(state=TAKEN)
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL]))
    try:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(flow_run_filter=taken, work_pool_filter=pool, limit=200)
            return [line for run in runs if not _lives(run) for line in _crash(client, run)]
    except HTTPError as error:
        return [f"could not look for runs that ended with the worker ({error!r}); reconcile settles them"]


def _crash(client: SyncPrefectClient, run: FlowRun) -> Iterator[str]:
    """One that the server will not let go must not keep the others."""
    try:
        client.set_flow_run_state(run.id, Crashed(message="its process ended with the worker"), force=True)
    except ObjectNotFound:
        return  # deleted since
    except HTTPStatusError as error:
        yield f"run {run.name}: ended with its worker, but the server did not take that ({error}); reconcile settles it"
    else:
        yield f"run {run.name}: was under way when its worker stopped, now marked as crashed"


def _lives(run: FlowRun) -> bool:
    """Whether a run's process goes on without its worker; its number may be another process's by now."""
    try:
        arguments = Path(f"/proc/{int(run.infrastructure_pid or '')}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False
    return b"prefect" in arguments
