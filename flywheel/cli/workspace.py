"""``flywheel init``, ``upgrade``, ``demo`` and ``up``: the workspace, and everything running on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli import output
from flywheel.cli.plugins import load_orchestration, plain_prefect_errors
from flywheel.cli.session import existing_database, open_workspace


def init() -> None:
    """Create the workspace.

    Makes the metadata tables, the Prefect block types and a work pool. A second call changes nothing.
    """
    with plain_prefect_errors():
        output.say(load_orchestration("init")(open_workspace()))


def upgrade() -> None:
    """Bring the metadata of an earlier Flywheel to this one's.

    A SQLite file is copied first; of a PostgreSQL, make a pg_dump. Interrupted, it has changed nothing.
    """
    from flywheel.metadata.upgrade import upgrade as run_migrations

    database = existing_database()
    done = run_migrations(database)
    if not done.changed:
        output.say(f"metadata: at migration {done.after} already, nothing to do")
        return
    output.say(f"metadata: from migration {done.before} to {done.after}")
    if done.backup is not None:
        output.say(f"backup: {done.backup}")
    output.say("next: flywheel init, and flywheel apply for the deployments of new flows")


def demo() -> None:
    """Turn the whole loop on a year of real flights."""
    with plain_prefect_errors():
        load_orchestration("demo")(open_workspace(), output.say)


def up(
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", metavar="PATH", help="Apply these manifests, or folders of them, first."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where Prefect's UI and API are.")
    ] = 4200,
    model_server: Annotated[
        str,
        typer.Option("--model-server", metavar="HOST:PORT", help="Where models are served; a ModelServer says so too."),
    ] = "127.0.0.1:50051",
) -> None:
    """Start Prefect, a worker and the model server here.

    Prints the UI's address and what to type next, and stops all of it when interrupted. What is there stays: the next
    call goes on from it.
    """
    with plain_prefect_errors():
        load_orchestration("up")(
            open_workspace(), files or [], output.say, prefect_port=port, model_server_address=model_server
        )
