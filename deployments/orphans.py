"""Runs whose process is gone: a server that was stopped with its worker still thinks that they are running."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from deployments.names import WORK_POOL

_TAKEN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def crash_orphans() -> list[str]:
    """Mark every run that a worker had taken as crashed, and return a line for each; no worker may be running.

    Otherwise they would be shown as running for ever, and hold their deployment's one place for minutes.
    """
    taken = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_TAKEN)))
    pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[WORK_POOL]))
    lines = []
    with get_client(sync_client=True) as client:
        while runs := client.read_flow_runs(flow_run_filter=taken, work_pool_filter=pool, limit=200):
            for run in runs:
                client.set_flow_run_state(run.id, Crashed(message="its process ended with the worker"), force=True)
                lines.append(f"run {run.name}: was under way when its worker stopped, now marked as crashed")
    return lines
