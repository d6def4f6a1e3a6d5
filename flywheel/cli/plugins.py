"""What needs Prefect, reached by entry points and imported only when it is called.

The engine does not know Prefect, so the packages above it declare what the commands call, in two groups:

``flywheel.flows``
    Flows by their name on the command line (``infer``, ``join-feedback``, ``check-drift``, ``export-training``,
    ``retrain``, ``promote``, ``reconcile``), each called as ``flow(pipeline=NAME, as_of=TIME_OR_NONE)``.
``flywheel.orchestration``
    ``init(workspace)``, ``apply(bundle, workspace)`` and ``delete(name, workspace)`` return lines that say what was
    done; ``logs(name, follow)`` yields lines; ``demo(workspace, say)`` and ``up(workspace, manifests, say,
    prefect_port=…, model_server_address=…)`` run until they are done or stopped, and call ``say`` with a line now and
    then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from types import TracebackType
from typing import Any

from flywheel.cli.session import open_workspace
from flywheel.errors import FlywheelError, not_found

FLOWS = "flywheel.flows"
ORCHESTRATION = "flywheel.orchestration"
_PREFECT_PACKAGES = frozenset({"prefect", "httpx", "httpcore"})
_STARTERS = frozenset({"demo", "up"})  # their servers are processes with a home of their own
_SERVER_CHOICES = (
    "PREFECT_API_URL", "PREFECT_HOME", "PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL",
)  # fmt: skip


def flow_names() -> list[str]:
    """Return the names that ``flywheel run`` takes, without importing a flow."""
    return sorted(entry_points(group=FLOWS).names)


def load_flow(name: str) -> Callable[..., Any]:
    """Import the flow called ``name``."""
    found = entry_points(group=FLOWS)
    if name not in found.names:
        raise not_found("flow", name, found.names, next_step="flywheel run --help")
    return _load(found[name])


def load_orchestration(name: str) -> Callable[..., Any]:
    """Import the function behind a command that works with Prefect."""
    found = entry_points(group=ORCHESTRATION)
    if name not in found.names:
        raise FlywheelError(
            f"nothing is installed that provides `flywheel {name}` (entry point {ORCHESTRATION}:{name})",
            state="nothing was done",
            next_step="install the whole project: uv pip install -e .",
        )
    return _load(found[name])


@contextmanager
def plain_prefect_errors() -> Iterator[None]:
    """Say what Prefect could not do in plain words; what is raised anywhere else goes on as it is."""
    try:
        yield
    except FlywheelError:
        raise
    except Exception as error:
        if _raised_in(error.__traceback__) not in _PREFECT_PACKAGES:
            raise
        where = os.environ.get("PREFECT_API_URL", "a temporary one, as PREFECT_API_URL is not set")
        raise FlywheelError(
            f"Prefect failed: {error} (server: {where})",
            state="what was done before stays; the same command goes on from there",
            next_step="see that the server answers, then type the same command again",
        ) from error


def _raised_in(traceback: TracebackType | None) -> str:
    """The package whose code raised."""
    package = ""
    while traceback is not None:
        package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        traceback = traceback.tb_next
    return package


def _load(entry_point: EntryPoint) -> Callable[..., Any]:
    if entry_point.name not in _STARTERS:
        _set_up_temporary_server()
    try:
        loaded: Callable[..., Any] = entry_point.load()
    except (ImportError, AttributeError) as error:
        raise FlywheelError(
            f"can't load {entry_point.value} ({entry_point.group}:{entry_point.name}): {error}",
            state="nothing was done",
            next_step="install the whole project: uv pip install -e .",
        ) from error
    return loaded


def _set_up_temporary_server() -> None:
    """Set up the server that Prefect starts within a command where no other is configured."""
    # It takes longer to start on a busy machine than Prefect waits by default; and its telemetry reports to others, and
    # meets a locked database while the server starts: a page of traceback.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    if any(name in os.environ for name in _SERVER_CHOICES):
        return
    # There is one workspace block on a server, so each workspace has a server database: the one of `flywheel up`.
    home = open_workspace().home.absolute() / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{home}/prefect.db"
