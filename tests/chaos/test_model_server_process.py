"""A model server that is a process of its own, killed with SIGKILL or stopped with SIGSTOP in the midst of a batch, and
started again; no row is lost or there twice, and each is answered in the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from audit import Losses, audit, count_ids
from model_trouble import Days, answers_of, in_trouble
from outcome import Outcome
from parcels import Parcels, end_of
from plain import run
from processes import free_ports
from state import State, state_of

from flows.rescore import rescore
from flywheel.inference.requests import InFlight

Record = Callable[[Outcome], None]


@dataclass
class ServerProcess:
    """``flywheel serve-models`` on a port of its own, started again whenever it was killed."""

    parcels: Parcels
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        ready = self.parcels.root / "ready"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "flywheel.cli", "serve-models", "--address", self.parcels.address]
        with (self.parcels.root / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--ready-file", str(ready)],
                cwd=self.parcels.root,
                env={**os.environ, "FLYWHEEL_HOME": str(self.parcels.workspace.home)},
                stderr=log,
            )
        end = time.monotonic() + 120
        while not ready.exists():
            assert time.monotonic() < end, (self.parcels.root / "server.log").read_text()
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def after_answers(count: int, act: Callable[[], None]) -> Iterator[threading.Event]:
    """Do something once this many requests have been answered, while others are on their way."""
    settle, left, done = InFlight._settle, [count], threading.Event()

    def settle_and_count(self: InFlight) -> None:
        settle(self)
        left[0] -= 1
        if left[0] == 0:
            act()
            done.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InFlight, "_settle", settle_and_count)
        yield done


def attack(made: Parcels, number: signal.Signals, fallback: str, times: int, folder: Path) -> Outcome:
    """Kill or stop the server so many times, in the midst of a batch each time."""
    (port,) = free_ports(1)
    attacked = made.copy(folder / "w", f"127.0.0.1:{port}")
    calm = attacked.copy(folder / "calm")
    attacked.revise(in_trouble(fallback))
    calm.revise(in_trouble(fallback, timeout_ms=60_000))
    server, chance = ServerProcess(attacked), random.Random(7)
    days, injected, recovery = Days(attacked), 0, 0.0
    try:
        server.start()
        days.infer_until_well()
        for _ in range(times):
            days.new()
            # A batch has four requests, two at a time: one or two have been answered, and the last is not on its way.
            answers = 4 * chance.randrange(2) + chance.randint(1, 2)
            with after_answers(answers, lambda: server.send(number)) as done:
                assert not days.infer()
            injected += done.is_set()
            if number == signal.SIGKILL:
                server.start()
            else:
                server.send(signal.SIGCONT)
            recovery = max(recovery, days.infer_until_well())
        if fallback != "error":
            assert _mixed_batches(attacked) > 0, "none was killed in the midst of a batch"
            assert run(rescore, attacked, end_of(days.count)).rescored > 0
        again = Days(calm)
        while again.count < days.count:
            again.infer_until_well()
        found, expected = (State({"answers": answers_of(state_of(each))}, {}, {}) for each in (attacked, calm))
    finally:
        server.close()
    ids, answered = count_ids(attacked, days.seen), audit(found, expected)
    losses = Losses(ids.rows, ids.lost + answered.lost, ids.twice + answered.twice)
    assert injected == times
    assert losses.lost == losses.twice == 0
    how = "killed (-9)" if number == signal.SIGKILL else "stopped (SIGSTOP)"
    fault = f"model server's process {how} mid-batch"
    return Outcome(fault, "embedded", injected, len(days.seen), losses.lost, losses.twice, recovery)


def _mixed_batches(parcels: Parcels) -> int:
    """Batches in which some rows were answered and some were not."""
    rows = parcels.table("predictions").group_by("batch_id").agg(pl.col("status").n_unique())
    return rows.filter(pl.col("status") == 2).height


@pytest.mark.slow
def test_killed_in_the_midst_of_a_batch(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(attack(embedded, signal.SIGKILL, "passthrough", 1, tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("fallback", ["passthrough", "error"])
def test_killed_many_times(embedded: Parcels, tmp_path: Path, record: Record, fallback: str) -> None:
    record(attack(embedded, signal.SIGKILL, fallback, 15, tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("fallback", ["return_null", "error"])
def test_stopped_many_times(embedded: Parcels, tmp_path: Path, record: Record, fallback: str) -> None:
    record(attack(embedded, signal.SIGSTOP, fallback, 10, tmp_path))
