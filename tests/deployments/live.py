"""``flywheel up`` in a folder of its own, with two small pipelines on it, and what a user and a browser would ask it.

Beans are roasted well or badly, which their moisture decides. The records that are scored are much moister than the
history that the first champion learns from: they have drifted from the first one on. ``coffee`` is only there to be
left alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import numpy as np
import polars as pl

from deployments.names import NEVER_BEGAN, SILENT
from deployments.processes import free_port
from flywheel.workspace import Workspace

ROOT = Path(__file__).parents[2]
NAME, MODEL, RECORDS = "beans", "roast", 300

_CALLS = """
import contextlib, io, json, sys
from flywheel.cli import main
answers = []
for arguments in json.loads(sys.argv[1]):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main(arguments)
    except SystemExit as exit_:
        assert not exit_.code, (arguments, exit_.code)
    answers.append(out.getvalue())
print(json.dumps(answers))
"""

T = TypeVar("T")


def write_beans(folder: Path, address: str) -> Path:
    """Write the manifest and its data, all of it in the past; return the manifest's path."""
    now = datetime.now(UTC)
    history = _made(600, now - timedelta(days=4), now - timedelta(hours=2), moisture=10.0)
    taste = pl.when(pl.col("moisture") + pl.col("luck") > 10).then(pl.lit("bad")).otherwise(pl.lit("good"))
    records = _made(RECORDS, now - timedelta(hours=1), now - timedelta(minutes=1), moisture=14.0)
    for name, rows in (("harvest", history.with_columns(taste=taste)), ("beans", records), ("tastings", None)):
        (folder / "in" / name).mkdir(parents=True)
        if rows is not None:
            rows.drop("luck").write_csv(folder / "in" / name / "1.csv")
    manifest = folder / "beans.yaml"
    manifest.write_text((Path(__file__).parent / "beans.yaml").read_text().replace("ADDRESS", address))
    return manifest


def _made(count: int, first: datetime, last: datetime, moisture: float) -> pl.DataFrame:
    random = np.random.default_rng(count)
    times = pl.datetime_range(first, last, (last - first) / count, closed="left", eager=True)[:count]
    return pl.DataFrame(
        {
            "id": [f"b{count}-{number}" for number in range(count)],
            "timestamp": times.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "moisture": random.normal(moisture, 1.5, count),
            "grams": random.normal(200, 20, count),
            "luck": random.normal(0, 0.3, count),
        }
    )


@dataclass(frozen=True)
class Stack:
    """A running ``flywheel up``, and how to ask what it runs."""

    folder: Path
    api_url: str
    process: subprocess.Popen[bytes]

    @property
    def workspace(self) -> Workspace:
        return Workspace(home=self.folder / ".flywheel")

    def said(self) -> str:
        """What ``up`` has printed."""
        return (self.folder / "up.out").read_text()

    def flywheel(self, *calls: list[str]) -> list[str]:
        """Type flywheel's commands, one after the other; return what each printed. One process: each takes seconds."""
        return json.loads(self._run([sys.executable, "-c", _CALLS, json.dumps(calls)], self.folder).splitlines()[-1])

    def prefect(self, *arguments: str, cwd: Path | None = None) -> str:
        return self._run([sys.executable, "-m", "prefect", *arguments], cwd or self.folder)

    def _run(self, command: list[str], cwd: Path) -> str:
        environment = {**os.environ, "PREFECT_API_URL": self.api_url, "PREFECT_HOME": str(self.folder / "client")}
        environment["PREFECT_LOGGING_LEVEL"] = "INFO"
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def ask(self, path: str, **wanted: Any) -> Any:
        """POST to the server's API."""
        answer = self._answer("POST", path, json=wanted)
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The server's answer. While its SQLite is locked it says 503, and Prefect's own client asks again too."""
        for _ in range(10):
            answer = httpx.request(method, f"{self.api_url}{path}", timeout=30, **more)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        return answer.raise_for_status()

    def runs(self, deployment_id: str) -> list[dict[str, Any]]:
        """A deployment's runs that have begun, newest first."""
        found: list[dict[str, Any]] = self.ask(
            "/flow_runs/filter",
            flow_runs={"deployment_id": {"any_": [deployment_id]}, "state": {"type": {"not_any_": ["SCHEDULED"]}}},
            sort="START_TIME_DESC",
        )
        return found

    def run(self, run_id: str) -> dict[str, Any]:
        """One run."""
        return dict(self._answer("GET", f"/flow_runs/{run_id}").json())

    def deployments(self) -> dict[str, dict[str, Any]]:
        """All deployments by the names that ``prefect deployment run`` takes."""
        flows = {flow["id"]: flow["name"] for flow in self.ask("/flows/filter")}
        return {f"{flows[each['flow_id']]}/{each['name']}": each for each in self.ask("/deployments/filter")}

    def automations(self) -> list[dict[str, Any]]:
        """All automations but those that ``init`` makes."""
        found = [each for each in self.ask("/automations/filter") if each["name"] not in (SILENT, NEVER_BEGAN)]
        return sorted(found, key=lambda each: str(each["name"]))

    def blocks(self) -> dict[str, dict[str, Any]]:
        """All blocks by type and name."""
        found = self.ask("/block_documents/filter", block_types={"slug": {"any_": [f"flywheel-{k}" for k in _KINDS]}})
        return {f"{each['block_type']['slug'].removeprefix('flywheel-')} {each['name']}": each for each in found}

    def emit_drift(self, pipeline: str, check_id: str, action: str) -> None:
        """Emit the event of a drift check, as ``check-drift`` does."""
        resource = {
            "prefect.resource.id": f"flywheel.pipeline.{pipeline}",
            "flywheel.action": action,
        }
        event = {
            "event": "flywheel.drift.detected",
            "resource": resource,
            "payload": {"check_id": check_id, "severity": "high", "action": action},
            "occurred": datetime.now(UTC).isoformat(),
            "id": str(uuid4()),
        }
        self._answer("POST", "/events", json=[event])


_KINDS = ("source", "sink", "model-server", "storage", "workspace")


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 90) -> T:
    """Look once a second until something is there."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"no {what} after {seconds:.0f} s"
        time.sleep(1)
    return found


def children_of(pid: int) -> set[int]:
    """The processes that this one has started, and theirs."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {child for child, parent in parents.items() if parent == pid}
    return found.union(*(children_of(child) for child in found))


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[Stack]:
    """Run ``flywheel up`` until it says what to type next; stop it at the end if it still runs."""
    port = free_port()
    command = [sys.executable, "-m", "flywheel.cli", "up", "--port", str(port), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    with (folder / "up.out").open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        stack = Stack(folder, f"http://127.0.0.1:{port}/api", process)
        try:
            wait_for("flywheel up", lambda: "Ctrl-C" in stack.said() or process.poll() is not None, 300)
            assert process.poll() is None, stack.said()
            yield stack
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
