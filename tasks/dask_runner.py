"""Dask as the runner of shards: a temporary cluster of processes on this machine, or a cluster that is there already.

Importing this imports Dask, which is an extra.
"""

from __future__ import annotations

import os
from typing import Any

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_dask import DaskTaskRunner
from prefect_dask.task_runners import PrefectDaskFuture


class DaskShardRunner(DaskTaskRunner):
    """Tells each shard where the run's Prefect server is: one that the run started for itself is not in its settings,
    and the shard would start another."""

    def submit(self, *arguments: Any, **more: Any) -> PrefectDaskFuture[Any]:
        with get_client(sync_client=True) as client, temporary_settings({PREFECT_API_URL: str(client.api_url)}):
            return super().submit(*arguments, **more)


def dask_runner(workers: int, address: str | None) -> DaskShardRunner:
    """Return a runner on the cluster at ``address``; without one, on ``workers`` processes that end with the run.

    The processes are spawned, since delta-rs does not survive a fork, and share the processors among them.
    """
    if address is not None:
        return DaskShardRunner(address=address)
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    return DaskShardRunner(
        cluster_kwargs={
            "n_workers": workers,
            "threads_per_worker": 1,
            "processes": True,
            "dashboard_address": None,
            "env": {"POLARS_MAX_THREADS": threads, "OMP_NUM_THREADS": threads},
        }
    )
