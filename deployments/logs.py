"""``flywheel logs``: what the newest runs of a pipeline wrote."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    LogFilter,
    LogFilterFlowRunId,
    LogFilterTimestamp,
)
from prefect.client.schemas.objects import FlowRun, Log, StateType
from prefect.client.schemas.sorting import FlowRunSort, LogSort

_RUNS = 10
_PAGE = 200
_POLL_SECONDS = 2.0
# A run that is still to come has nothing to say, and a schedule keeps more of them than there are runs to show; one
# that was dropped because another was running says nothing either.
_BEGUN = FlowRunFilterState(type=FlowRunFilterStateType(not_any_=[StateType.SCHEDULED, StateType.CANCELLED]))


def follow(name: str, follow: bool) -> Iterator[str]:
    """Yield the log lines of the pipeline's newest runs, oldest first; with ``follow``, then go on as they come."""
    with get_client(sync_client=True) as client:
        since: datetime | None = None
        while True:
            runs = _newest_runs(client, name)
            for log in _logs(client, runs, since):
                since = log.timestamp
                yield _line(log, runs)
            if not follow:
                return
            time.sleep(_POLL_SECONDS)


def _newest_runs(client: SyncPrefectClient, name: str) -> dict[UUID, FlowRun]:
    """The newest runs, of deployments (they have tags) and of ``flywheel run`` (they end with the pipeline's name)."""
    deployed = FlowRunFilter(tags=FlowRunFilterTags(all_=["flywheel", name]), state=_BEGUN)
    by_hand = FlowRunFilter(name=FlowRunFilterName(like_=f" {name}"), state=_BEGUN)
    found = [
        run
        for which in (deployed, by_hand)
        for run in client.read_flow_runs(flow_run_filter=which, sort=FlowRunSort.START_TIME_DESC, limit=_RUNS)
        if which is deployed or run.name.endswith(f" {name}")
    ]
    newest = sorted(found, key=lambda run: (run.start_time or run.created).timestamp(), reverse=True)
    return {run.id: run for run in newest[:_RUNS]}


def _logs(client: SyncPrefectClient, runs: dict[UUID, FlowRun], since: datetime | None) -> Iterator[Log]:
    if not runs:
        return
    wanted = LogFilter(
        flow_run_id=LogFilterFlowRunId(any_=list(runs)),
        timestamp=LogFilterTimestamp(after_=since) if since else None,
    )
    offset = 0
    while page := client.read_logs(wanted, limit=_PAGE, offset=offset, sort=LogSort.TIMESTAMP_ASC):
        for log in page:
            if since is None or log.timestamp > since:
                yield log
        offset += _PAGE


def _line(log: Log, runs: dict[UUID, FlowRun]) -> str:
    run = runs.get(log.flow_run_id) if log.flow_run_id else None
    return f"{log.timestamp:%Y-%m-%d %H:%M:%S} {run.name if run else log.flow_run_id}: {log.message}"
