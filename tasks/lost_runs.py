"""Runs that are shown as under way and are not: whatever would have told so was lost with the server or the machine."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib.metadata import entry_points

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.states import Crashed

from tasks.step import step

# Five heartbeats of a run that was started by hand; those of deployments tell six times as often that they live.
LOST_AFTER = timedelta(minutes=15)
# Prefect itself ends a run that is being cancelled for too long.
_UNDER_WAY = [StateType.PENDING, StateType.RUNNING]


@step("settle lost runs", retries=2)
def settle_lost_runs(since: datetime) -> list[str]:
    """Mark the runs as crashed that nothing has been heard of since then; return their names."""
    ours = FlowFilter(name=FlowFilterName(any_=sorted(entry_points(group="flywheel.flows").names)))
    under_way = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDER_WAY)))
    settled = []
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_filter=ours, flow_run_filter=under_way, limit=200):
            if not _heard_of(client, run, since):
                client.set_flow_run_state(
                    run.id, Crashed(message=f"silent since {since:%H:%M:%S} UTC: its process is gone")
                )
                settled.append(run.name)
    return settled


def _heard_of(client: SyncPrefectClient, run: FlowRun, since: datetime) -> bool:
    # A flow of the same name that is not ours has no pipeline.
    if "pipeline" not in run.parameters or run.state is None or run.state.timestamp >= since:
        return True
    heartbeats = EventFilter(
        occurred=EventOccurredFilter(since=since),
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
    )
    return client.read_events(heartbeats, limit=1).total > 0
