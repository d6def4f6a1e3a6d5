"""Kills what runs the flows, while one is running: the Prefect server, the worker, the worker with its run."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from parcels import end_of, feedback_on, made_parcels
from production import Orchestra, stamped, wait_for

from deployments.service import Service

INTERVAL = timedelta(minutes=1)
ROWS_A_DAY, BATCH_ROWS = 400, 20
ACTIVE = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
# Within which all of a day's messages are sent, so that the same run sees them all.
_SOON = timedelta(seconds=5)


@dataclass(frozen=True)
class Known:
    """When a day's records became known, and the events about them."""

    records: datetime
    events: datetime


@dataclass
class Attack:
    """One fault, time after time, and what it came to; ``known`` is every day that was sent, by other faults too."""

    orchestra: Orchestra
    kill: Callable[[Orchestra], None]
    known: list[Known]
    recovery_seconds: float = 0.0
    kills: int = 0

    def round(self) -> None:
        """Send a day of records; kill while a run is at them; wait until the schedule alone has done them all."""
        orchestra, number = self.orchestra, len(self.known) + 1
        records_known = datetime.now(UTC) + _SOON
        made = made_parcels(number, end_of(number - 1), ROWS_A_DAY)
        before = self._rows("predictions")
        orchestra.parcels.records("", stamped(made, records_known))
        wait_for("a run at work", lambda: self._rows("predictions") > before)
        (victim,) = orchestra.runs("infer", state=ACTIVE)
        self.kill(orchestra)
        self.kills += 1
        fault_end = time.monotonic(), datetime.now(UTC)
        wait_for("the day's predictions", lambda: self._rows("predictions") == number * ROWS_A_DAY)
        next_run = wait_for("the next run to complete", lambda: _completed_after(orchestra, fault_end[1]))
        self.recovery_seconds = max(self.recovery_seconds, time.monotonic() - fault_end[0])
        due = datetime.fromisoformat(next_run["expected_start_time"])
        assert next_run["auto_scheduled"]
        assert due <= fault_end[1] + 2 * INTERVAL, f"only the run due at {due} went on, the fault ended {fault_end[1]}"
        fate = wait_for("the killed run's end", lambda: _end_of(orchestra, victim["id"]))
        print(self.kill.__name__, number, fate, f"{time.monotonic() - fault_end[0]:.1f} s", flush=True)
        events_known = datetime.now(UTC) + _SOON
        orchestra.parcels.events("", stamped(feedback_on(made), events_known))
        self.known.append(Known(records_known, events_known))
        wait_for("the day's labels", lambda: self._rows("labels") == number * ROWS_A_DAY)

    def settle(self) -> None:
        """Wait until nothing is under way; then no place may be taken."""
        orchestra = self.orchestra

        def free() -> bool:
            slots = orchestra.slots()
            return not any(slots.values()) and not orchestra.ask("/flow_runs/filter", flow_runs={"state": ACTIVE})

        wait_for("moment without a run and without a place taken", free)

    def _rows(self, table: str) -> int:
        tables = self.orchestra.parcels.context.tables
        found = getattr(tables, table)
        return found.read(found.files()).height


def kill_server(orchestra: Orchestra) -> None:
    """Kill the server and all its services; whoever watches over it starts it again."""
    dead = orchestra.server.pid
    assert dead is not None
    os.killpg(dead, signal.SIGKILL)
    _wait_until_back(orchestra.server, dead)


def kill_worker(orchestra: Orchestra) -> None:
    """Kill the worker; its run goes on."""
    dead = orchestra.worker.pid
    runs, others = _tree(dead)
    assert runs
    _kill(others)
    _wait_until_back(orchestra.worker, dead)


def kill_worker_and_run(orchestra: Orchestra) -> None:
    """Kill the worker and its runs at once, as a machine that is gone."""
    dead = orchestra.worker.pid
    runs, others = _tree(dead)
    assert runs
    _kill(others + runs)
    _wait_until_back(orchestra.worker, dead)


def _wait_until_back(service: Service, dead: int | None) -> None:
    wait_for(f"new {service.name}", lambda: service.pid != dead and service.ended() is None and service.ready())


def _tree(pid: int | None) -> tuple[list[int], list[int]]:
    """The processes below this one that run flows, and the others with it itself."""
    assert pid is not None
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    runs = [each for each in found if b"prefect.engine" in Path(f"/proc/{each}/cmdline").read_bytes()]
    return runs, [each for each in found if each not in runs]


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _completed_after(orchestra: Orchestra, when: datetime) -> dict[str, Any] | None:
    """The first run that began after that time and is complete."""
    done = orchestra.runs("infer", state={"type": {"any_": ["COMPLETED"]}}, start_time={"after_": when.isoformat()})
    return done[0] if done else None


def _end_of(orchestra: Orchestra, run_id: str) -> str | None:
    """The state that a run has ended in."""
    (run,) = orchestra.ask("/flow_runs/filter", flow_runs={"id": {"any_": [run_id]}})
    return str(run["state_type"]) if run["state_type"] not in ACTIVE["type"]["any_"] else None
