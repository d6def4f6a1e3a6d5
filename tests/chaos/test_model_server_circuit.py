"""Many threads of several processes share a circuit through the database: while it is half open, no more requests than
its cap are on their way, however long the server takes to answer."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_server import faulty_server
from outcome import Outcome
from parcels import MODEL, Parcels
from processes import PostgreSQL

from flywheel.inference.breaker import CircuitBreaker
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig
from flywheel.metadata.database import Database

Record = Callable[[Outcome], None]

DEADLINE_MS, RESET_SECONDS, ROWS, THREADS = 1000, 0.4, 6, 3
WORKER = """
import sys, threading
from pathlib import Path

import numpy as np

from flywheel.inference.breaker import CircuitBreaker
from flywheel.inference.client import ModelClient
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig, InferenceConfig
from flywheel.metadata.database import Database

url, address, model, cap, deadline, reset, rows, threads, stop = sys.argv[1:]
config = InferenceConfig.model_validate(
    {"model_endpoint": address, "model_id": model, "input_features": ["km"], "batch_size": 2, "max_retries": 0,
     "timeout_ms": int(deadline)}
)
breaker_config = BreakerConfig(
    failure_threshold=3, reset_timeout_seconds=float(reset), half_open_requests=int(cap)
)
database, seen, lock = Database(url), {"answered": 0, "failed": 0, "refused": 0}, threading.Lock()


def ask():
    with ModelClient(address, config) as client:
        breaker = CircuitBreaker(
            database, address, model, breaker_config, longest_seconds=client.longest_seconds
        )
        while not Path(stop).exists():
            for result in client.infer(model, "1", np.ones((int(rows), 3)), (), breaker):
                refused = result.error is not None and result.error.startswith("not sent")
                kind = "answered" if result.error is None else "refused" if refused else "failed"
                with lock:
                    seen[kind] += result.stop - result.start
                    seen["asked"] = seen.get("asked", 0)
            with lock:
                seen["asked"] += int(rows)
            threading.Event().wait(0.01)


print("ready", flush=True)
sys.stdin.readline()
at_work = [threading.Thread(target=ask) for _ in range(int(threads))]
for thread in at_work:
    thread.start()
for thread in at_work:
    thread.join()
print(seen["asked"], seen["answered"], seen["failed"], seen["refused"], flush=True)
"""


def attack(made: Parcels, url: str, stack: str, cap: int, processes: int, probes: int, folder: Path) -> Outcome:
    """Let everybody ask a server that hangs, then one that does not."""
    database, stop = Database(url), folder / "stop"
    config = BreakerConfig(failure_threshold=3, reset_timeout_seconds=RESET_SECONDS, half_open_requests=cap)
    with faulty_server(made.context.registry) as server:
        breaker = CircuitBreaker(database, server.address, MODEL, config)
        for _ in range(3):
            breaker.failure("opened before anybody asks")
        given = [url, server.address, MODEL, cap, DEADLINE_MS, RESET_SECONDS, ROWS, THREADS, stop]
        command = [sys.executable, "-c", WORKER, *map(str, given)]
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        try:
            server.trouble = "hang"
            for worker in workers:
                assert worker.stdout is not None
                assert worker.stdout.readline() == "ready\n"
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
            begin = time.monotonic()
            while len(server.spans) < probes:
                assert time.monotonic() < begin + 240, "nobody probes the server"
                time.sleep(0.05)
            injected, most, hung = server.injected, server.most_at_once(), breaker.health().state
            server.trouble, ended = None, time.monotonic()
            while breaker.health().state != "closed":
                assert time.monotonic() < ended + 60, "the circuit did not close"
                time.sleep(0.01)
            recovery = time.monotonic() - ended
            time.sleep(0.5)
            stop.touch()
            counts = [[int(each) for each in worker.communicate(timeout=60)[0].split()] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
    asked, answered, failed, refused = (sum(column) for column in zip(*counts, strict=True))
    assert hung != "closed"
    assert 0 < most <= cap, "more probes were on their way at once than half_open_requests allows"
    assert injected > 0
    assert answered > 0
    lost = asked - answered - failed - refused
    fault = f"model server hangs, {processes} processes probe it, {cap} at once at most"
    return Outcome(fault, stack, injected, asked, max(0, lost), max(0, -lost), recovery)


def test_probes_at_once(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    url = embedded.copy(tmp_path / "w").workspace.database().url.render_as_string(hide_password=False)
    record(attack(embedded, url, "embedded", 1, 2, 2, tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("cap", [1, 3])
def test_probes_of_many_processes(embedded: Parcels, tmp_path: Path, record: Record, cap: int) -> None:
    url = embedded.copy(tmp_path / "w").workspace.database().url.render_as_string(hide_password=False)
    record(attack(embedded, url, "embedded", cap, 6, 15, tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("cap", [1, 3])
def test_probes_of_many_processes_on_postgresql(
    embedded: Parcels, postgresql: PostgreSQL, tmp_path: Path, record: Record, cap: int
) -> None:
    url = postgresql.fresh()
    Database(url).create()
    record(attack(embedded, url, "servers", cap, 6, 15, tmp_path))
