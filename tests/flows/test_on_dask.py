"""Flows that are maps over partitions, on processes of Dask: the same as on threads, also when one is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from threading import Event, Thread
from typing import Any

import pytest
from distributed import LocalCluster
from distributed.comm.tcp import TCP
from parcels import NAME, NOWHERE, Document, Parcels, end_of, inference_of, known_after
from plain import run
from state import assert_same, state_of

import flywheel.retraining.export_parts
import flywheel.scoring.foresee
from flows.backfill import backfill
from flows.backtest import backtest
from flows.export_training import export_training
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.reprofile import reprofile
from flows.rescore import rescore
from flywheel.errors import FlywheelError
from tasks.runner import ShardRunner

ROWS = 250


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two processes, as another machine would have them."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as started:
        yield started


@pytest.fixture
def dask(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_RUNNER", "dask")
    monkeypatch.setenv("FLYWHEEL_DASK_ADDRESS", cluster.scheduler_address)
    monkeypatch.setenv("FLYWHEEL_RUNNER_WORKERS", "2")


@pytest.fixture(params=["dask", pytest.param("threads", marks=pytest.mark.slow)])
def runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "dask":
        request.getfixturevalue("dask")
    monkeypatch.setenv("FLYWHEEL_RUNNER", request.param)
    return str(request.param)


def in_small_batches(manifest: Document) -> None:
    inference_of(manifest).update(fallback="passthrough", max_retries=0, circuit_breaker={"failure_threshold": 2})
    manifest["spec"]["batch"] = {"max_rows": 50}


@pytest.fixture
def calm(trained: Parcels, parcels: Parcels, tmp_path: Path) -> Parcels:
    """The same workspace for the same work in this process.

    It is no copy of the one that the processes work on: to copy a SQLite file takes away the locks that this process
    has on it, and with them what keeps another from removing its log.
    """
    return trained.copy(tmp_path / "calm", parcels.address)


def backlog(*workspaces: Parcels) -> None:
    """Five batches to score."""
    for each in workspaces:
        each.revise(in_small_batches)
        each.day(1, ROWS)


@pytest.mark.slow  # test_backfill goes the same way to the processes
def test_rescore(parcels: Parcels, calm: Parcels, runner: str) -> None:
    backlog(parcels, calm)
    for each in (parcels, calm):
        run(infer, replace(each, address=NOWHERE), end_of(1))
    assert run(rescore, calm, end_of(2)).rescored == ROWS
    assert rescore(NAME, as_of=end_of(2)).rescored == ROWS
    assert_same(state_of(parcels), state_of(calm))


def test_backfill(parcels: Parcels, calm: Parcels, runner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backlog(parcels, calm)
    run(infer, calm, end_of(1))
    monkeypatch.setattr(flywheel.scoring.foresee, "_PART_ROWS", 100)
    found = backfill(NAME, as_of=end_of(1))
    assert (found.batches, found.ahead, found.ok) == (5, 5, ROWS)
    assert_same(state_of(parcels), state_of(calm))


@pytest.mark.slow
def test_reprofile_counts_what_infer_counted(parcels: Parcels, runner: str) -> None:
    backlog(parcels)
    run(infer, parcels, end_of(1))
    counted = parcels.table("profiles")
    shutil.rmtree(parcels.context.tables.profiles.location.uri)
    assert reprofile(NAME, as_of=end_of(2)).batches == 5
    assert parcels.table("profiles").equals(counted)


@pytest.mark.slow
def test_backtest(parcels: Parcels, runner: str) -> None:
    parcels.revise(lambda manifest: manifest["spec"].update(performance={"window": "12h"}))
    parcels.day(1, ROWS)
    run(infer, parcels, end_of(1))
    run(join_feedback, parcels, known_after(3))
    found = backtest(NAME, as_of=known_after(3))
    assert found.windows == 2
    assert found == run(backtest, parcels, known_after(3))


@pytest.mark.slow
def test_export(parcels: Parcels, calm: Parcels, runner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (parcels, calm):
        each.day(1, ROWS)
        each.day(2, ROWS)
        run(infer, each, end_of(2))
        run(join_feedback, each, known_after(2))
    whole = run(export_training, calm, known_after(2))
    monkeypatch.setattr(flywheel.retraining.export_parts, "_MOST_ROWS", ROWS)
    assert export_training(NAME, as_of=known_after(2)) == whole
    assert_same(state_of(parcels), state_of(calm))


@pytest.mark.slow
def test_a_process_is_killed_in_the_middle(
    cluster: LocalCluster, parcels: Parcels, calm: Parcels, dask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog(parcels, calm)
    run(infer, calm, end_of(1))
    monkeypatch.setattr(flywheel.scoring.foresee, "_PART_ROWS", 50)
    with killing(cluster, 2) as killed:
        found = backfill(NAME, as_of=end_of(1))
    assert len(killed) == 2
    assert (found.batches, found.ok) == (5, ROWS)
    assert_same(state_of(parcels), state_of(calm))


@contextmanager
def killing(cluster: LocalCluster, times: int) -> Iterator[list[int]]:
    """Kill processes of the cluster that have parts to do, so many one after the other; yield those that were."""
    killed: list[int] = []
    is_over = Event()

    def kill() -> None:
        while len(killed) < times and not is_over.wait(0.02):
            busy = {each.name for each in cluster.scheduler.workers.values() if each.processing}
            for name, nanny in cluster.workers.items():
                if name in busy and nanny.pid and nanny.pid not in killed:
                    os.kill(nanny.pid, signal.SIGKILL)
                    killed.append(nanny.pid)
                    break

    thread = Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        is_over.set()
        thread.join()


def test_what_is_sent_is_small(parcels: Parcels, dask: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that goes from one process to another goes through this one, where the scheduler is."""
    sent: list[int] = []
    write = TCP.write

    async def counted(self: TCP, *arguments: Any, **more: Any) -> int:
        sent.append(await write(self, *arguments, **more))
        return sent[-1]

    parcels.revise(lambda manifest: manifest["spec"].update(batch={"max_rows": 10_000}))
    parcels.day(1, 20_000)
    data = sum(path.stat().st_size for path in (parcels.root / "data" / "parcels").iterdir())
    monkeypatch.setattr(TCP, "write", counted)
    assert backfill(NAME, as_of=end_of(1)).ahead == 2
    assert max(sent) < 50_000
    assert sum(sent) < data / 10


@pytest.mark.slow
def test_a_temporary_cluster_ends_with_a_run_that_is_killed() -> None:
    script = (
        "from tasks.dask_runner import dask_runner\n"
        "if __name__ == '__main__':\n"
        "    with dask_runner(2, None) as runner:\n"
        "        print(*runner.client.run(__import__('os').getpid).values(), flush=True)\n"
        "        input()\n"
    )
    with Popen([sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True) as run_of_flow:
        assert run_of_flow.stdout is not None
        processes = [Path("/proc", pid) for pid in run_of_flow.stdout.readline().split()]
        assert len(processes) == 2
        assert all(process.exists() for process in processes)
        run_of_flow.kill()
    deadline = time.monotonic() + 30
    while any(process.exists() for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(("name", "value"), [("RUNNER", "ray"), ("RUNNER_WORKERS", "0")])
def test_a_setting_that_is_wrong(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"FLYWHEEL_{name}", value)
    with pytest.raises(FlywheelError, match=f"FLYWHEEL_{name}: ") as refused:
        ShardRunner().duplicate()
    assert refused.value.state == "nothing was started"


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_RUNNER", "dask")
    monkeypatch.delitem(sys.modules, "tasks.dask_runner", raising=False)
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with pytest.raises(FlywheelError, match="not installed") as refused:
        ShardRunner().duplicate()
    assert "flywheel-batch[dask]" in refused.value.next_step
