"""``flywheel up``: a Prefect server, a worker and the model server, for daily use on one machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from deployments.processes import model_server, prefect_server, worker
from flywheel.manifest.load import load
from flywheel.workspace import Workspace

MODEL_SERVER = "127.0.0.1:50051"
PREFECT_PORT = 4200


def up(workspace: Workspace, manifests: Sequence[Path], say: Callable[[str], None]) -> None:
    """Start everything, apply ``manifests``, print where to look, and wait until interrupted."""
    home = workspace.home.absolute()
    with ExitStack() as stack:
        say("starting the Prefect server …")
        environment = stack.enter_context(prefect_server(home / "prefect", PREFECT_PORT, home / "logs"))
        os.environ.update(environment)
        from deployments.apply import apply
        from deployments.workspace import initialise

        for line in [*initialise(workspace), *(apply(load(manifests), workspace) if manifests else [])]:
            say(line)
        stack.enter_context(model_server(environment, MODEL_SERVER, home / "logs"))
        stack.enter_context(worker(environment, home / "logs"))
        say(f"Prefect UI    {environment['PREFECT_API_URL'].removesuffix('/api')}")
        say(f"model server  {MODEL_SERVER}")
        say(f"logs          {home / 'logs'}")
        say(f"In another shell: export PREFECT_API_URL={environment['PREFECT_API_URL']}")
        say("Ctrl-C stops all of it.")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
