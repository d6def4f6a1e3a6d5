"""``flywheel init``, ``demo`` and ``up``: the workspace, and everything running on one machine."""

from __future__ import annotations

from flywheel.cli import output
from flywheel.cli.plugins import load_orchestration
from flywheel.cli.session import open_workspace


def init() -> None:
    """Create the workspace: metadata tables, block types, a work pool.

    A second call changes nothing.
    """
    output.say(load_orchestration("init")(open_workspace()))


def demo() -> None:
    """Turn the whole loop on a year of real flights, and report."""
    load_orchestration("demo")()


def up() -> None:
    """Start a Prefect server, a worker and the model server, and print the UI's address."""
    load_orchestration("up")()
