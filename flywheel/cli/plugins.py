"""What needs Prefect, reached by entry points and imported only when it is called.

The engine does not know Prefect, so the packages above it declare what the commands call, in two groups:

``flywheel.flows``
    Flows by their name on the command line (``infer``, ``join-feedback``, ``check-drift``, ``export-training``,
    ``retrain``, ``promote``, ``reconcile``), each called as ``flow(pipeline=NAME, as_of=TIME_OR_NONE)``.
``flywheel.orchestration``
    ``init(workspace)``, ``apply(bundle, workspace)`` and ``delete(name, workspace)`` return lines that say what was
    done; ``logs(name, follow)`` yields lines; ``demo(workspace, say)`` and ``up(workspace, manifests, say)`` run until
    they are done or stopped, and call ``say`` with a line now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from flywheel.errors import FlywheelError, not_found

FLOWS = "flywheel.flows"
ORCHESTRATION = "flywheel.orchestration"


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


def _load(entry_point: EntryPoint) -> Callable[..., Any]:
    try:
        loaded: Callable[..., Any] = entry_point.load()
    except (ImportError, AttributeError) as error:
        raise FlywheelError(
            f"can't load {entry_point.value} ({entry_point.group}:{entry_point.name}): {error}",
            state="nothing was done",
            next_step="install the whole project: uv pip install -e .",
        ) from error
    return loaded
