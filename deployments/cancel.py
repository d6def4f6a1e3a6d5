"""Ends a deployment's runs before the deployment goes: they could not be ended after it."""

from __future__ import annotations

import time
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelled, Cancelling

from deployments.orphans import TAKEN

_SECONDS = 20.0


def cancel_runs(client: SyncPrefectClient, deployment_id: UUID) -> list[str]:
    """Cancel the runs of a deployment that have begun; return a line for each when all of them have ended.

    A worker stops their processes, which loses nothing; where there is none, or it is too slow, they are marked. The
    server refuses every state of a run whose deployment is gone while the run held its place: it would stay Running.
    """
    client.pause_deployment(deployment_id)
    runs = _taken(client, deployment_id)
    for run in runs:
        is_running = run.state_type == StateType.RUNNING
        client.set_flow_run_state(run.id, Cancelling() if is_running else Cancelled(), force=True)
    deadline = time.monotonic() + _SECONDS
    while (left := _taken(client, deployment_id)) and time.monotonic() < deadline:
        time.sleep(0.5)
    for run in left:
        client.set_flow_run_state(run.id, Cancelled(message="its deployment was deleted"), force=True)
    return [f"run {run.name}: cancelled" for run in runs]


def _taken(client: SyncPrefectClient, deployment_id: UUID) -> list[FlowRun]:
    wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]), state=TAKEN)
    return client.read_flow_runs(flow_run_filter=wanted)
