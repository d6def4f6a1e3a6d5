"""Servers behind a bad network: what was not answered may have happened, and still nothing is lost or twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from parcels import end_of
from plain import run
from processes import S3
from proxy import Faults, proxy
from sqlalchemy.exc import DBAPIError
from state import assert_same, state_of
from undisturbed import Undisturbed

from flows.infer import infer


@pytest.fixture
def bad_s3(s3: S3) -> Iterator[tuple[S3, Faults]]:
    """The S3 as it is reached through a proxy."""
    port = urlsplit(s3.endpoint).port
    assert port is not None
    with proxy(port) as (front, faults):
        yield S3(f"http://127.0.0.1:{front}"), faults


def test_every_write_happens_and_its_answer_is_lost(
    undisturbed: Undisturbed, bad_s3: tuple[S3, Faults], tmp_path: Path
) -> None:
    """The ambiguous commit: the client asks again, and must find its own write instead of making a second one."""
    behind, faults = bad_s3
    faults.lose = ("PUT", "POST")
    copy = undisturbed.before.copy(tmp_path / "w")
    run(infer, replace(copy, s3=behind), end_of(1))
    faults.lose = ()
    commits = [line for line in faults.lost if "/_delta_log/" in line]
    tables = ("predictions", "profiles", "quarantine", "archive")
    assert all(any(f"/{table}/" in line for line in commits) for table in tables)
    assert_same(state_of(copy), undisturbed.after)
    assert run(infer, copy, end_of(1)).batches == 0


def test_refused_cut_and_slow_connections(undisturbed: Undisturbed, bad_s3: tuple[S3, Faults], tmp_path: Path) -> None:
    behind, faults = bad_s3
    copy = undisturbed.before.copy(tmp_path / "w")

    def trouble() -> None:
        for _ in range(3):
            faults.refuse = faults.cut = True
            time.sleep(0.3)
            faults.refuse = faults.cut = False
            faults.delay = 0.05
            time.sleep(0.2)
        faults.delay = 0.0

    with beside(trouble):
        run(infer, replace(copy, s3=behind), end_of(1))
    assert faults.refused > 0
    assert_same(state_of(copy), undisturbed.after)


def test_postgresql_ends_all_connections_again_and_again(undisturbed: Undisturbed, tmp_path: Path) -> None:
    copy = undisturbed.before.copy(tmp_path / "w")
    over = threading.Event()
    ended = []

    def trouble() -> None:
        while not over.wait(0.04):
            ended.append(copy.postgresql.disconnect(copy.database_url))

    with beside(trouble):
        with suppress(DBAPIError):  # a transaction that is cut ends the run; one that has not begun does not
            run(infer, copy, end_of(1))
        over.set()
    assert sum(ended) > 0
    run(infer, copy, end_of(1))
    assert_same(state_of(copy), undisturbed.after)


@contextmanager
def beside(trouble: Callable[[], None]) -> Iterator[None]:
    """Make trouble in a thread during the block."""
    thread = threading.Thread(target=trouble)
    thread.start()
    try:
        yield
    finally:
        thread.join()
