"""The pipeline of the flow tests (``parcels``) in a workspace without Prefect; its modules are importable because of
this file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "flows"))

from parcels import Parcels, end_of, known_after
from plain import run, trained

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.serving.server import ModelServer


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """A pipeline with a champion that has learned from the history."""
    return trained(Parcels(tmp_path_factory.mktemp("first") / "w"))


@pytest.fixture(scope="session")
def second(first: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """The same after two days, of which the first has got its labels; both are farther away than the history."""
    made = first.copy(tmp_path_factory.mktemp("second") / "w")
    made.day(1, 400, shift=100)
    made.day(2, 200, shift=100)
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        served = Parcels(made.root, server.address)
        run(infer, served, end_of(1))
        run(infer, served, end_of(2))
    run(join_feedback, made, known_after(1))
    return made


@pytest.fixture
def parcels(first: Parcels, tmp_path: Path) -> Parcels:
    """A fresh workspace with a champion."""
    return first.copy(tmp_path / "w")


@pytest.fixture
def labelled(second: Parcels, tmp_path: Path) -> Parcels:
    """A fresh workspace with a champion, and a day of labelled predictions."""
    return second.copy(tmp_path / "w")
