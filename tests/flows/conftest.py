"""One Prefect server for all flow tests, and a workspace with a trained champion for each; ``parcels`` is importable
because of this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import Task
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness

import tasks.drift
import tasks.feedback
import tasks.maintain
import tasks.rescore
import tasks.retrain
import tasks.score
from deployments.workspace import initialise
from flows.retrain import retrain
from flywheel.serving.server import ModelServer

sys.path.insert(0, str(Path(__file__).parent))

from parcels import NAME, START, Parcels  # beside this file, and importable from here on


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A server of the tests' own; without heartbeats, whose thread would add a second to each flow run."""
    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_wait_between_retries() -> None:
    for module in (tasks.drift, tasks.feedback, tasks.maintain, tasks.rescore, tasks.retrain, tasks.score):
        for found in vars(module).values():
            if isinstance(found, Task):
                found.retry_delay_seconds = 0


@pytest.fixture(scope="session")
def trained(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """The workspace that others are copies of: applied, and with a champion trained on the history."""
    made = Parcels(tmp_path_factory.mktemp("trained") / "w")
    made.make()
    initialise(made.workspace)
    made.apply()
    assert retrain(NAME, as_of=START).outcome == "promoted"
    return made


@pytest.fixture
def parcels(trained: Parcels, tmp_path: Path) -> Iterator[Parcels]:
    """A fresh workspace with a champion, selected on the Prefect server, and a model server on it."""
    copy = trained.copy(tmp_path / "w")
    with ModelServer(copy.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        served = Parcels(copy.root, server.address)
        served.select()
        yield served
