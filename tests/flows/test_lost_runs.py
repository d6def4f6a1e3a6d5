"""A run that nothing has been heard of for a quarter of an hour is over; reconcile says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from parcels import NAME, Parcels, end_of
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Pending, Running

from flows.infer import infer
from flows.reconcile import reconcile
from tasks.lost_runs import settle_lost_runs


@flow(name="infer")
def strange() -> None:
    """A flow of somebody else's, who shares the server."""


def begun(state: State[Any], flow: Any = infer, **parameters: str) -> str:
    """Make a run that is in this state."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(flow, parameters=parameters)
        client.set_flow_run_state(run.id, state, force=True)
        return str(run.id)


def heartbeat(run: str) -> None:
    with get_client(sync_client=True) as client:
        event = {
            "event": "prefect.flow-run.heartbeat",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
            "occurred": datetime.now(UTC).isoformat(),
            "id": run,
        }
        client.request("POST", "/events", json=[event])


def states(*runs: str) -> list[str]:
    with get_client(sync_client=True) as client:
        return [client.read_flow_run(run).state.type.value for run in runs]  # type: ignore[union-attr,arg-type]


@pytest.mark.parametrize("state", [Running(), Pending()], ids=lambda state: state.name)
def test_a_lost_run_is_ended(parcels: Parcels, state: State[Any]) -> None:
    lost, others = begun(state, pipeline=NAME), begun(state, flow=strange)
    since = datetime.now(UTC)
    recent = begun(state, pipeline=NAME)
    assert settle_lost_runs.fn(since)
    assert states(lost, recent, others) == ["CRASHED", state.type.value, state.type.value]
    assert settle_lost_runs.fn(since) == []
    assert reconcile(NAME, as_of=end_of(1)).lost == []


def test_a_run_that_tells_that_it_lives_goes_on(parcels: Parcels) -> None:
    alive = begun(Running(), pipeline=NAME)
    since = datetime.now(UTC)
    heartbeat(alive)
    # Prefect writes events down every five seconds.
    with get_client(sync_client=True) as client:
        while not client.request("POST", "/events/filter", json={"filter": _of(alive)}).json()["total"]:
            assert datetime.now(UTC) < since + timedelta(seconds=60)
    settle_lost_runs.fn(since)
    assert states(alive) == ["RUNNING"]


def _of(run: str) -> dict[str, Any]:
    return {"resource": {"id": [f"prefect.flow-run.{run}"]}, "event": {"name": ["prefect.flow-run.heartbeat"]}}
