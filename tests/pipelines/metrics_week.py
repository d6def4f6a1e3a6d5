"""The bundled anomaly pipeline, run as its user runs it: the seed's manifest, generated metrics, a model server of its
own process and a receiver of alerts, one day after another."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl

from blocks import FlywheelModelServer, FlywheelSink
from deployments.apply import apply
from deployments.workspace import initialise
from flows.check_drift import DriftSummary, check_drift
from flows.export_training import ExportSummary, export_training
from flows.infer import InferSummary, infer
from flows.join_feedback import FeedbackSummary, join_feedback
from flows.retrain import RetrainSummary, retrain
from flywheel.context import PipelineContext
from flywheel.datasets.service_metrics import write_service_metrics
from flywheel.datasets.signals import Drift
from flywheel.manifest.documents import ModelServerSpec, WebhookSinkSpec
from flywheel.manifest.load import load
from flywheel.workspace import Workspace
from tasks.connect import connect

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"
NAME = "anomaly-detection"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, QUIET_DAYS, HISTORY_DAYS, BAD_RECORDS = 3, 2, 3, 10
RECORDS = DAYS * 24 * 60 * 8


def end_of(day: int) -> datetime:
    """The logical time of the runs that follow ``day`` (from 1)."""
    return START + timedelta(days=day)


@dataclass
class Receiver:
    """An Alertmanager that remembers what it was sent."""

    url: str
    posts: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [alert for _, alerts in self.posts for alert in alerts]

    @property
    def ids(self) -> list[str]:
        return [alert["labels"]["prediction_id"] for alert in self.alerts]


@contextmanager
def alertmanager() -> Iterator[Receiver]:
    """Listen for alerts on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Serving:
    """A model server that is starting or running."""

    process: subprocess.Popen[bytes]
    ready: Path
    log: Path

    @property
    def address(self) -> str:
        deadline = time.monotonic() + 60
        while not self.ready.exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self.ready.read_text()


@contextmanager
def model_server(root: Path) -> Iterator[Serving]:
    """Run ``flywheel serve-models`` in the workspace at ``root``; it starts while other things do."""
    Workspace(home=root / ".flywheel").database().create()
    ready, log = root / "ready", root / "serve-models.log"
    command = [sys.executable, "-m", "flywheel.cli", "serve-models", "--address", "127.0.0.1:0"]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, "--ready-file", str(ready)], cwd=root, stderr=file)
    try:
        yield Serving(process, ready, log)
    finally:
        process.terminate()
        process.wait(15)


@dataclass
class Week:
    """What the flows answered, a day at a time, and where everything is."""

    root: Path
    receiver: Receiver
    first: RetrainSummary
    inferred: list[InferSummary] = field(default_factory=list)
    joined: list[FeedbackSummary] = field(default_factory=list)
    checked: list[DriftSummary] = field(default_factory=list)
    export: ExportSummary | None = None

    @property
    def context(self) -> PipelineContext:
        return connect(NAME)

    def table(self, name: str) -> pl.DataFrame:
        """Read a table of the lake; the prediction's fields become columns."""
        table = getattr(self.context.tables, name)
        rows: pl.DataFrame = table.read(table.files())
        return rows.unnest("anomaly_prediction") if "anomaly_prediction" in rows.columns else rows

    def incidents(self) -> pl.Series:
        """Return the ids of the records that were in an incident, as the dataset says."""
        files = (self.root / ".flywheel" / "service-metrics" / "incidents").iterdir()
        events = pl.concat([pl.read_ndjson(file) for file in files]).unnest("metadata")
        return events.filter(event="incident_created")["trace_id"]


def run_week(root: Path, receiver: Receiver, server: Serving) -> Week:
    """Set the workspace at ``root`` up, train the first champion, and run the loop day by day."""
    drift = Drift(from_day=QUIET_DAYS, percent_a_day=16.0)
    folder = root / ".flywheel" / "service-metrics"
    write_service_metrics(folder, DAYS, history_days=HISTORY_DAYS, drift=drift, bad_records=BAD_RECORDS)
    workspace = Workspace(home=root / ".flywheel")
    initialise(workspace)
    apply(load([PIPELINES / f"{NAME}.yaml", PIPELINES / f"{NAME}.connections.yaml"]), workspace)
    webhook = WebhookSinkSpec(type="webhook", url=receiver.url, labels={"severity": "page"})
    FlywheelSink(spec=webhook).save("alertmanager", overwrite=True)
    FlywheelModelServer(spec=ModelServerSpec(address=server.address)).save("model-server", overwrite=True)
    week = Week(root, receiver, first=retrain(NAME, as_of=START))
    for day in range(1, DAYS + 1):
        week.inferred.append(infer(NAME, as_of=end_of(day)))
        week.joined.append(join_feedback(NAME, as_of=end_of(day)))
        week.checked.append(check_drift(NAME, as_of=end_of(day)))
    week.inferred.append(infer(NAME, as_of=end_of(DAYS)))
    week.export = export_training(NAME, as_of=end_of(DAYS))
    return week
