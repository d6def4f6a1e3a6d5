"""Starts and stops the processes of a local installation: Prefect server, worker, model server."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deployments.names import WORK_POOL
from flywheel.errors import FlywheelError

_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
# Polls at one second: a run starts within seconds of being asked for, which a person at the screen waits for.
POLLING = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
# A local server says nothing to anybody outside.
QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PREFECT_LOGGING_LEVEL": "WARNING"}
# Threads that wait by spinning take the cores from the other processes: a fit was 3 times slower for it.
THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True)
class LocalStack:
    """The addresses of a running installation, and the environment that reaches it."""

    api_url: str
    model_server: str
    environment: Mapping[str, str]

    @property
    def ui_url(self) -> str:
        return self.api_url.removesuffix("/api")


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


@contextmanager
def prefect_server(home: Path, port: int, logs: Path) -> Iterator[dict[str, str]]:
    """Run a Prefect server with its own home; yields the environment in which everything talks to it."""
    api_url = f"http://127.0.0.1:{port}/api"
    environment = {**POLLING, **QUIET, **THREADS, "PREFECT_HOME": str(home), "PREFECT_API_URL": api_url}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]

    def healthy() -> bool:
        try:
            return httpx.get(f"{api_url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    with _process("Prefect server", command, environment, logs / "prefect-server.log", healthy):
        yield environment


@contextmanager
def worker(environment: Mapping[str, str], logs: Path) -> Iterator[None]:
    """Run a process worker on Flywheel's work pool."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL, "--type", "process"]
    with _process("worker", command, environment, logs / "worker.log", lambda: True):
        yield


@contextmanager
def model_server(environment: Mapping[str, str], address: str, logs: Path) -> Iterator[None]:
    """Run the model server."""
    ready = logs / "model-server.ready"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "flywheel.cli", "serve-models", "--address", address, "--ready-file", str(ready)]
    with _process("model server", command, environment, logs / "model-server.log", ready.exists):
        yield


@contextmanager
def _process(
    name: str, command: list[str], environment: Mapping[str, str], log: Path, ready: Callable[[], bool]
) -> Iterator[None]:
    """Run a process until the end of the block; if it does not become ready, show the end of its log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab"))
        process = subprocess.Popen(  # noqa: S603 - the commands above, nothing from outside
            command,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # A process group of its own, so that Ctrl-C reaches us and we stop our children in order; and SIGINT as
            # usual, which a shell's & would have had ignored and which makes a worker hang when it is stopped.
            start_new_session=True,
            preexec_fn=_default_sigint,  # noqa: PLW1509 - only resets a signal
        )
        stack.callback(_stop, process)
        _wait_until(ready, process, name, log)
        yield


def _default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            reason = f"ended with {process.returncode}" if process.poll() is not None else "did not become ready"
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise FlywheelError(f"the {name} {reason}; the end of its log:\n{tail}", next_step=f"see {log}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for how, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            break
        os.killpg(process.pid, how)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    # The server and the worker have children of their own; none may outlive this command.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
