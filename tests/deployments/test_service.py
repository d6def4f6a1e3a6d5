"""A process that dies is started again, with what it has left behind stopped or left as its kind needs it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from deployments.service import Service, revive, running
from flywheel.errors import FlywheelError

# A parent that notes the id of its child and waits.
SCRIPT = "sleep 60 & echo $! > {child}; touch {ready}; echo at work; wait"


@contextmanager
def parent(folder: Path, children: Literal["stop", "leave"] = "stop") -> Iterator[Service]:
    ready = folder / "ready"
    command = ["sh", "-c", SCRIPT.format(child=folder / "child", ready=ready)]
    service = Service(
        "parent",
        command,
        {},
        folder / "log",
        ready.exists,
        before_start=lambda: ready.unlink(missing_ok=True),
        children=children,
    )
    with running(service):
        yield service


def child_of(folder: Path) -> int:
    return int((folder / "child").read_text())


def lives(pid: int) -> bool:
    """A process that has ended and that nobody has waited for is there, as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def die(service: Service) -> None:
    assert service.pid is not None
    os.kill(service.pid, signal.SIGKILL)
    while service.ended() is None:
        time.sleep(0.01)


@pytest.mark.parametrize(("children", "stays"), [("stop", False), ("leave", True)])
def test_it_is_started_again(tmp_path: Path, children: Literal["stop", "leave"], stays: bool) -> None:
    said: list[str] = []
    with parent(tmp_path, children) as service:
        first, child = service.pid, child_of(tmp_path)
        die(service)
        revive([service], said.append, after={"parent": lambda: ["settled"]})
        assert service.pid != first
        assert service.ended() is None
        time.sleep(0.1)
        assert lives(child) is stays
        second = child_of(tmp_path)
    assert said == ["the parent ended with -9, starting it again …", "settled", "the parent is back"]
    time.sleep(0.1)
    assert not lives(child)
    assert not lives(second)


def test_one_that_lives_is_left_alone(tmp_path: Path) -> None:
    with parent(tmp_path) as service:
        first = service.pid
        revive([service], pytest.fail, after={})
        assert service.pid == first


def test_one_that_ends_again_and_again_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with parent(tmp_path) as service:
        for _ in range(2):
            die(service)
            revive([service], print, after={})
        die(service)
        with pytest.raises(FlywheelError, match=r"the parent has ended 3 times within a minute(.|\n)*at work"):
            revive([service], print, after={})
