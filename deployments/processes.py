"""The processes of a local installation: Prefect server, worker, model server."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from deployments.names import WORK_POOL
from deployments.service import Service
from deployments.settings import RUN_SETTINGS, SERVER_SETTINGS
from flywheel.errors import FlywheelError

# Polls at one second: a run starts within seconds of being asked for, which a person at the screen waits for.
POLLING = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
# A local server says nothing to anybody outside.
QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_LOGGING_LEVEL": "WARNING"}
# Threads that wait by spinning take the cores from the other processes: a fit was 3 times slower for it.
THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}


def free_port() -> int:
    """Return a TCP port that nothing listens on now, below the range that the system hands out.

    It is a random one, since whoever looks for a port at the same moment must not find the same.
    """
    for port in random.sample(range(20_000, 32_000), 1_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise FlywheelError("found no free TCP port between 20000 and 32000", next_step="stop what listens there")


def prefect_server(home: Path, port: int, logs: Path) -> Service:
    """Return a Prefect server with its own home; its ``environment`` is what everything talks to it with."""
    api_url = f"http://127.0.0.1:{port}/api"
    environment = {
        **POLLING, **QUIET, **THREADS, **RUN_SETTINGS, **SERVER_SETTINGS,
        "PREFECT_HOME": str(home), "PREFECT_API_URL": api_url,
    }  # fmt: skip
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]

    def healthy() -> bool:
        try:
            return httpx.get(f"{api_url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return Service("Prefect server", command, environment, logs / "prefect-server.log", healthy)


def worker(environment: Mapping[str, str], logs: Path) -> Service:
    """Return a process worker on Flywheel's work pool."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process"]
    return Service("worker", command, environment, logs / "worker.log", lambda: True, children="leave")


def model_server(environment: Mapping[str, str], address: str, logs: Path) -> Service:
    """Return the model server."""
    ready = logs / "model-server.ready"
    command = [sys.executable, "-m", "flywheel.cli", "serve-models", "--address", address, "--ready-file", str(ready)]
    return Service(
        "model server",
        command,
        environment,
        logs / "model-server.log",
        ready.exists,
        before_start=lambda: ready.unlink(missing_ok=True),
    )
