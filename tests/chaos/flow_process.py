"""Runs of a flow in processes of their own, which can be killed.

A fresh Python takes seconds to import what a flow needs, so these are forked from a process that has imported it all
and used nothing of it: delta-rs does not survive a fork once it has begun to work.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from celpy.celparser import CELParser
from crashing import Writes, watching
from parcels import Parcels
from plain import run

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.metadata.ledger import Ledger

CELParser()  # makes the tables of its grammar, which takes longer than a batch, once for all processes
COMMITTED = "batch committed"
_FLOWS = {"infer": infer, "join-feedback": join_feedback}
_IMPORTED = (
    "flow_process",
    # What flows import once they run.
    "celpy.celparser",
    "flywheel.manifest.cel_compile",
    "flywheel.manifest.conditions",
    "flywheel.sinks.log",
    "flywheel.sinks.table",
    "flywheel.sources.files",
    "grpc.experimental",
    "numpy.ma",
    "pyarrow.compute",
    "pyarrow.parquet",
    "sql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "sqlite3",
)


@dataclass(frozen=True)
class Step:
    """A run of a flow that the schedule asks for."""

    flow: str
    as_of: datetime


@dataclass(frozen=True)
class Point:
    """The write, counted from 1, at which a run's process dies: before it, or with ``torn`` in the midst of it."""

    number: int
    torn: bool = False


@dataclass
class _Traced(Writes):
    """Writes that are noted in a file, since a killed process can't tell of them any more."""

    trace: int = -1
    tell: Connection | None = None

    def is_last(self, what: str) -> bool:
        if not self.seen and self.tell is not None:
            self.tell.send("writes")
        self.note(what)
        return super().is_last(what)

    def note(self, what: str) -> None:
        os.write(self.trace, f"{time.monotonic()} {what}\n".encode())


@dataclass(frozen=True)
class FlowProcess:
    """A process that runs a step; ``trace`` is the file in which it notes its writes."""

    process: ForkServerProcess
    trace: Path
    told: Connection

    def wait(self, messages: int) -> None:
        """Return when the flow begins (1), or when it is about to write for the first time (2), or it has ended."""
        with suppress(EOFError):
            for _ in range(messages):
                self.told.recv()

    def kill(self, after: float) -> bool:
        """Kill it after so many seconds; return whether it was still alive."""
        self.process.join(after)
        self.process.kill()
        return self.join()

    def join(self) -> bool:
        """Wait for its end; return whether it was killed."""
        self.process.join(300)
        if self.process.is_alive():
            self.process.kill()
            raise AssertionError(f"it hangs after {self.notes()[-3:]}")
        code = self.process.exitcode
        assert code in (0, -signal.SIGKILL), f"exit code {code}: {_error_file(self.trace).read_text()}"
        return code == -signal.SIGKILL

    def notes(self) -> list[tuple[float, str]]:
        """What it was about to write and when, on the monotonic clock, up to its end."""
        lines = self.trace.read_text().splitlines()
        return [(float(when), what) for when, _, what in (line.partition(" ") for line in lines)]


@cache
def context() -> ForkServerContext:
    """Where the processes come from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(list(_IMPORTED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return found


def start(
    parcels: Parcels, step: Step, trace: Path, point: Point | None = None, together: Barrier | None = None
) -> FlowProcess:
    """Start a run; it dies at ``point``, and begins when as many as ``together`` waits for are ready."""
    told, tell = context().Pipe(duplex=False)
    trace.write_bytes(b"")
    process = context().Process(target=_main, args=(parcels, step, trace, point, together, tell), daemon=True)
    process.start()
    tell.close()
    return FlowProcess(process, trace, told)


def _main(
    parcels: Parcels, step: Step, trace: Path, point: Point | None, together: Barrier | None, tell: Connection
) -> None:
    gc.freeze()  # else the first collection copies all the memory that the processes share
    number, torn = (point.number, point.torn) if point else (None, False)
    writes = _Traced(number, torn, crash=_die, trace=os.open(trace, os.O_WRONLY | os.O_APPEND), tell=tell)
    try:
        _check_that_nothing_was_used()
        with watching(writes), _noted_commits(writes):
            if together is not None:
                together.wait(120)
            tell.send("begins")
            run(_FLOWS[step.flow], parcels, step.as_of)
    except BaseException:
        _error_file(trace).write_text(traceback.format_exc())
        raise


def _check_that_nothing_was_used() -> None:
    """The threads of Polars and delta-rs are not forked, and who waits for them waits for ever."""
    threads = [name.read_text().strip() for name in Path(f"/proc/{os.getppid()}/task").glob("*/comm")]
    used = [name for name in threads if name.startswith(("polars-0", "tokio"))]
    assert not used, f"importing the flows starts threads ({used}): compute nothing while a module is imported"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _noted_commits(writes: _Traced) -> Iterator[None]:
    commit = Ledger.commit

    def commit_and_note(self: Ledger[Any], *arguments: Any) -> None:
        commit(self, *arguments)
        writes.note(COMMITTED)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "commit", commit_and_note)
        yield


def _error_file(trace: Path) -> Path:
    return trace.with_suffix(".error")
