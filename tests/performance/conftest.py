"""The pipeline of the flow tests (``parcels``) in a workspace without Prefect, with a trained champion; its modules,
and ``late_labels`` beside this file, are importable because of this one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))

from parcels import Parcels
from plain import trained

from flywheel.serving.server import ModelServer


@pytest.fixture(scope="session")
def champion_made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """A pipeline with a champion that has learned from the history, and its model server."""
    made = trained(Parcels(tmp_path_factory.mktemp("performance") / "w"))
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        yield Parcels(made.root, server.address)


@pytest.fixture
def parcels(champion_made: Parcels, tmp_path: Path) -> Parcels:
    """A workspace of the test's own."""
    return champion_made.copy(tmp_path / "w")
