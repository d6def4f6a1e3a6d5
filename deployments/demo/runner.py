"""The demo's runner: starts what Prefect has scheduled on the work pool, in this process.

A worker starts each run in a process of its own, which costs 10 seconds of imports a retrain; the replay waits for each
one anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort
from prefect.flow_engine import load_flow_and_flow_run, run_flow
from prefect.states import Pending

from deployments.names import WORK_POOL


def run_what_is_due() -> int:
    """Run every flow run that is due on the work pool, one after the other, and return how many there were."""
    with get_client(sync_client=True) as client:
        due = [run for run in _due_runs(client) if _claim(client, run)]
    for run in due:
        flow_run, flow = load_flow_and_flow_run(run.id)
        run_flow(flow, flow_run=flow_run, return_type="state")
    return len(due)


def _due_runs(client: SyncPrefectClient) -> Sequence[FlowRun]:
    found = client.get_scheduled_flow_runs_for_work_pool(WORK_POOL, scheduled_before=datetime.now(UTC))
    return [response.flow_run for response in found]


def _claim(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Take a run, as a worker does; False where its deployment's limit says that it has to wait."""
    try:
        return client.set_flow_run_state(run.id, Pending()).status.value == "ACCEPT"
    except Abort:
        return False
