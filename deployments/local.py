"""``flywheel up``: a Prefect server, a worker and the model server, for daily use on one machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from deployments.processes import model_server, prefect_server, worker
from deployments.service import Say, revive, running
from flywheel.errors import FlywheelError
from flywheel.manifest.load import load_whole
from flywheel.metadata.revisions import Revisions
from flywheel.registry.store import Registry
from flywheel.workspace import Workspace

# A run says what it does: in the UI, and to `flywheel logs`.
_RUNS_SPEAK = {"PREFECT_LOGGING_LEVEL": "INFO"}
_WATCH_SECONDS = 0.5
_THIS_MACHINE = {"127.0.0.1", "localhost", "0.0.0.0"}  # noqa: S104 - compared with, not listened on


def up(
    workspace: Workspace, manifests: Sequence[Path], say: Say, *, prefect_port: int, model_server_address: str
) -> None:
    """Start everything, apply ``manifests``, print where to look and what to type next, and wait until interrupted.

    What runs leave behind is kept in the workspace's home, so a second call goes on from there.

    Raises
    ------
    ManifestError
        A manifest is not valid; nothing was started.
    FlywheelError
        A port is taken, or one of the processes does not start, or ends by itself again and again; one that ends now
        and then is started again. Whatever was started is stopped again.
    """
    bundle = load_whole(manifests) if manifests else None
    _require_free(f"127.0.0.1:{prefect_port}", "Prefect server", "flywheel up --port 4201")
    _require_free(model_server_address, "model server", "flywheel up --model-server 127.0.0.1:50052")
    home = workspace.home.absolute()
    logs = home / "logs"
    with _until_interrupted(say), ExitStack() as stack:
        say("starting the Prefect server (the first time takes half a minute) …")
        server = stack.enter_context(running(prefect_server(home / "prefect", prefect_port, logs)))
        environment = server.environment
        # Prefect reads its settings on import, so what imports it comes after the server's address is known.
        os.environ.update(environment)
        from deployments.apply import apply
        from deployments.orphans import crash_orphans
        from deployments.workspace import initialise

        for line in [*initialise(workspace), *crash_orphans(), *(apply(bundle, workspace) if bundle else [])]:
            say(line)
        say("starting the model server and the worker …")
        models = stack.enter_context(running(model_server(environment, model_server_address, logs)))
        runs = stack.enter_context(running(worker({**environment, **_RUNS_SPEAK}, logs)))
        stack.callback(say, "stopping …")
        for line in _where_and_what_next(workspace, environment["PREFECT_API_URL"], model_server_address):
            say(line)
        while True:
            revive([server, models, runs], say, after={runs.name: crash_orphans})
            time.sleep(_WATCH_SECONDS)


def _where_and_what_next(workspace: Workspace, api_url: str, model_server_address: str) -> Iterator[str]:
    yield ""
    yield f"Prefect UI    {api_url.removesuffix('/api')}"
    yield f"model server  {model_server_address}"
    yield f"logs          {workspace.home.absolute() / 'logs'}"
    yield ""
    yield f"In another shell, in {Path.cwd()}:"
    yield f"  export PREFECT_API_URL={api_url}{_home()}{_path()}"
    yield from (f"  {line}" for line in _next_steps(workspace, model_server_address))
    yield "Ctrl-C stops all of it; flywheel up goes on from there."


def _home() -> str:
    return f" FLYWHEEL_HOME={home}" if (home := os.environ.get("FLYWHEEL_HOME")) else ""


def _path() -> str:
    """What makes the commands below work in another shell, where nothing has been activated."""
    return "" if shutil.which("flywheel") else f" PATH={Path(sys.executable).parent}:$PATH"


def _next_steps(workspace: Workspace, model_server_address: str) -> Iterator[str]:
    database = workspace.database()
    revisions = Revisions(database)
    names = revisions.names()
    if not names:
        yield "flywheel apply -f MANIFEST"
    registry = Registry(database, workspace.storage(), f"{workspace.lake}/models")
    addresses = {name: spec["address"] for name, spec in revisions.connections("ModelServer").items()}
    for name in names:
        pipeline = revisions.current(name).pipeline
        endpoint = pipeline.inference.model_endpoint
        address = addresses.get(endpoint.partition(":")[0], endpoint)
        if not _same(address, model_server_address):
            yield f"# {name} asks the model server at {address}, which is not this one"
        elif pipeline.training is not None and registry.champion(pipeline.inference.model_id) is None:
            yield f"flywheel run retrain -p {name}  # trains its first champion, without which infer fails"
        else:
            yield f"prefect deployment run infer/{name} --watch; flywheel stats"


def _same(address: str, other: str) -> bool:
    """Whether two addresses reach the same server of this machine.

    >>> _same("localhost:50051", "127.0.0.1:50051"), _same("models:50051", "127.0.0.1:50051")
    (True, False)
    """
    (host, _, port), (other_host, _, other_port) = address.rpartition(":"), other.rpartition(":")
    return port == other_port and (host == other_host or {host, other_host} <= _THIS_MACHINE)


def _require_free(address: str, what: str, otherwise: str) -> None:
    """Refuse a port that is taken: the process would end, or worse, another server would answer in its place."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        # As servers do, so that connections of one that has just been stopped are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except (OSError, ValueError, OverflowError) as error:
            raise FlywheelError(
                f"the {what} can't listen on {address}: {error}",
                state="nothing was started",
                next_step=f"stop what listens there (another flywheel up?), or take another port: {otherwise}",
            ) from error


class _Interrupted(BaseException):
    """Ctrl-C, a closed terminal or ``kill``; no handler of errors on the way may take it for one."""


@contextmanager
def _until_interrupted(say: Say) -> Iterator[None]:
    """Leave the block when a signal asks for it; further ones don't disturb the stopping.

    A signal that whoever started this has set to be ignored (nohup) stays so.
    """
    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise _Interrupted

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    except _Interrupted:
        say("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
