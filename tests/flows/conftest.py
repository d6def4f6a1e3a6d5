"""A workspace with a trained champion for each flow test, on the Prefect server of the process; ``parcels`` is
importable because of this file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import Task

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
