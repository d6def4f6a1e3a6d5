"""PostgreSQL and S3, and the parcels pipeline on them: fixtures of this folder and of tests/chaos."""

from __future__ import annotations

from collections.abc import Iterator

import processes
import pytest
from crashing import Writes, watching
from hosted import Hosted
from parcels import Parcels, end_of
from plain import run, trained
from processes import S3, PostgreSQL
from state import state_of
from undisturbed import Undisturbed

from flows.infer import infer
from flywheel.serving.server import ModelServer


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with processes.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with processes.s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """The pipeline on SQLite and in a folder, with a champion."""
    return trained(Parcels(tmp_path_factory.mktemp("embedded") / "w"))


@pytest.fixture(scope="session")
def hosted(postgresql: PostgreSQL, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Hosted:
    """The pipeline on PostgreSQL and S3, with a champion."""
    root = tmp_path_factory.mktemp("hosted") / "w"
    return trained(Hosted(root, s3=s3, postgresql=postgresql, prefix="hosted", database_url=postgresql.fresh()))


@pytest.fixture(scope="session")
def undisturbed(hosted: Hosted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    """A day of records that the hosted pipeline has yet to infer, and the same after that."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with ModelServer(hosted.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        before = hosted.copy(folder / "before", server.address)
        before.day(1, 300)
        before.broken_records("01.ndjson", "not JSON")
        after = before.copy(folder / "after")
        with watching(Writes()) as writes:
            run(infer, after, end_of(1))
        yield Undisturbed(before, writes.seen, state_of(after))
