"""Starts a Prefect server, a worker and the model server in a folder of the demo's own, and replays a year on them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from importlib import resources
from pathlib import Path

from deployments.processes import free_port, model_server, prefect_server
from deployments.service import running
from flywheel.datasets.flights import write_flights
from flywheel.workspace import Workspace

Say = Callable[[str], None]
PIPELINE = "flight-delays"


def run(workspace: Workspace, say: Say) -> None:
    """Run the demo from nothing, in ``demo/`` under the workspace's home; what an earlier one left is removed."""
    started = time.monotonic()
    folder = workspace.home.absolute() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    demo = Workspace(home=folder / ".flywheel")
    with ExitStack() as stack:
        say("writing the flights of 2013 as files, a day each, while the Prefect server starts …")
        with ThreadPoolExecutor(1) as beside:
            written = beside.submit(write_flights, demo.home / "flights", date(2013, 2, 1), date(2014, 1, 1))
            server = stack.enter_context(
                running(prefect_server(demo.home / "prefect", free_port(), demo.home / "logs"))
            )
            environment = server.environment
            written.result()
        os.environ.update(environment, FLYWHEEL_HOME=str(demo.home))
        _set_up(demo, environment, stack)
        say(f"Prefect UI, while this runs: {environment['PREFECT_API_URL'].removesuffix('/api')}")
        # Prefect reads its settings on import, so whatever imports it comes after the server's address is known.
        from deployments.demo.replay import replay
        from deployments.demo.report import write_report

        replay(demo, say)
        write_report(demo, folder, time.monotonic() - started, say)
        _say_where(demo, environment["PREFECT_API_URL"], folder, say)


def _set_up(demo: Workspace, environment: Mapping[str, str], stack: ExitStack) -> None:
    from blocks import FlywheelModelServer
    from deployments.apply import apply
    from deployments.register import unschedule
    from deployments.workspace import initialise
    from flywheel.manifest.documents import ModelServerSpec
    from flywheel.manifest.load import load

    initialise(demo)
    address = f"127.0.0.1:{free_port()}"
    with ThreadPoolExecutor(1) as beside:
        served = running(model_server(environment, address, demo.home / "logs"))
        serving = beside.submit(stack.enter_context, served)
        with resources.as_file(resources.files("deployments") / "pipelines" / f"{PIPELINE}.yaml") as manifest:
            apply(load([manifest]), demo)
        # The replay is the clock here: a scheduled run would see the whole year at once.
        unschedule(PIPELINE)
        # The manifest's own port may be taken on this machine.
        FlywheelModelServer(spec=ModelServerSpec(address=address)).save("model-server", overwrite=True)
        serving.result()


def _say_where(demo: Workspace, api_url: str, folder: Path, say: Say) -> None:
    ui_url = api_url.removesuffix("/api")
    server = f"PREFECT_HOME={demo.home / 'prefect'} PREFECT_API_URL={api_url} .venv/bin/prefect server start"
    for what, where in {
        "report": folder / "report.json",
        "picture": folder / "report.png",
        "lake": demo.lake,
        "runs, artifacts": f"{server} --port {ui_url.rpartition(':')[2]}, then {ui_url}",
        "flywheel on it": f"FLYWHEEL_HOME={demo.home} .venv/bin/flywheel model history late-arrival",
    }.items():
        say(f"{what:<17}{where}")
