"""The parcels pipeline as it runs in production: Flywheel's metadata and Prefect's own on PostgreSQL, lake, archive and
exports on S3, records and feedback from Kafka; a Prefect server that asks for a password, a worker that knows nothing
but where that server is, a model server with TLS and a token. The S3's credentials are in blocks of prefect-aws.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import httpx
import polars as pl
from certificates import Authority
from hosted import Hosted
from parcels import NAME, Document, Parcels, pipeline_document
from processes import BUCKET, KEY, SECRET
from sqlalchemy import make_url

from deployments.processes import free_port, model_server, prefect_server, worker
from deployments.service import Service, revive, running
from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.manifest.documents import FilesSourceSpec, KafkaSourceSpec, SourceSpec
from flywheel.manifest.jsonpath import JsonPath

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))

from broker import Broker, Sent, tansu_broker  # where the broker of all tests is

AUTH = "flywheel:planted-prefect-password"
TOKEN = "planted-model-server-token"
PARTITIONS = 3
# How long a process that has died stays away.
AWAY_SECONDS = 2.0
TOPICS = ("parcels", "deliveries")
T = TypeVar("T")

# What a person does once, in Prefect's UI and in a shell.
_SET_UP = """
import json, sys
from prefect_aws import AwsClientParameters, MinIOCredentials, S3Bucket
from flywheel.cli import main
endpoint, user, password, bucket, folder, manifest = sys.argv[1:]
credentials = MinIOCredentials(minio_root_user=user, minio_root_password=password, region_name="us-east-1",
                               aws_client_parameters=AwsClientParameters(endpoint_url=endpoint))
credentials.save("seaweed", overwrite=True)
S3Bucket(bucket_name=bucket, bucket_folder=folder, credentials=credentials).save("flywheel", overwrite=True)
for arguments in (["init"], ["apply", "-f", manifest]):
    try:
        main(arguments)
    except SystemExit as exit_:
        assert not exit_.code, arguments
"""


@dataclass(frozen=True, kw_only=True)
class Production(Hosted):
    """The pipeline with its records and its events as topics."""

    broker: Broker

    @property
    def context(self) -> PipelineContext:
        return _reading(self, super().context.connections, {name: self._source(name) for name in TOPICS})

    def _source(self, name: str) -> KafkaSourceSpec:
        return KafkaSourceSpec(
            type="kafka", bootstrap_servers=self.broker.address, topic=name, received_at=JsonPath("$.received_at")
        )

    def records(self, file: str, parcels: pl.DataFrame) -> None:
        self._send("parcels", parcels.drop("minutes_late", strict=False))

    def events(self, file: str, events: pl.DataFrame) -> None:
        self._send("deliveries", events)

    def _send(self, topic: str, rows: pl.DataFrame) -> None:
        lines = rows.write_ndjson().encode().splitlines()
        self.broker.send(topic, [Sent(line, i % PARTITIONS) for i, line in enumerate(lines)])


class Files(Parcels):
    """The pipeline on files whose rows say when they become known, as the topics' messages do."""

    @property
    def context(self) -> PipelineContext:
        sources = {
            name: FilesSourceSpec(
                type="files", uri=f"data/{name}", format="ndjson", received_at=JsonPath("$.received_at")
            )
            for name in TOPICS
        }
        return _reading(self, super().context.connections, sources)


def _reading(place: Parcels, found: Connections, sources: Mapping[str, SourceSpec]) -> PipelineContext:
    return open_pipeline(place.workspace, NAME, replace(found, sources={**found.sources, **sources}))


def stamped(rows: pl.DataFrame, known_at: datetime) -> pl.DataFrame:
    """Say when the rows become known: sent before that, they are all seen by the same run."""
    return rows.with_columns(received_at=pl.lit(known_at.astimezone(UTC).isoformat()))


@dataclass
class Orchestra:
    """The running processes, and how to ask the Prefect server."""

    parcels: Production
    api_url: str
    server: Service
    worker: Service
    model_server: Service
    client_environment: Mapping[str, str]

    def ask(self, path: str, **wanted: Any) -> Any:
        """POST to the server's API."""
        answer = httpx.post(f"{self.api_url}{path}", json=wanted, headers=_basic(AUTH), timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def runs(self, flow: str, **more: Any) -> list[dict[str, Any]]:
        """The runs of a flow that a worker has taken, oldest first."""
        found: list[dict[str, Any]] = self.ask(
            "/flow_runs/filter",
            flows={"name": {"any_": [flow]}},
            flow_runs={"state": {"type": {"not_any_": ["SCHEDULED"]}}, **more},
            sort="EXPECTED_START_TIME_ASC",
        )
        return found

    def slots(self) -> dict[str, int]:
        """How many places of each deployment are taken."""
        flows = {flow["id"]: flow["name"] for flow in self.ask("/flows/filter")}
        found = self.ask("/deployments/filter")
        return {flows[each["flow_id"]]: each["global_concurrency_limit"]["active_slots"] for each in found}

    def status_without(self, auth: str | None) -> int:
        """What the server answers to somebody with another password, or none."""
        url = f"{self.api_url}/flow_runs/filter"
        return httpx.post(url, json={}, headers=_basic(auth) if auth else {}, timeout=30).status_code


def _basic(auth: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(auth.encode()).decode()}"}


def wait_for(what: str, look: Callable[[], T | None], seconds: float = 600) -> T:
    """Look twice a second until something is there; a server that is away has nothing to show."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = look()
        except httpx.TransportError:
            found = None
        if found:
            return found
        assert time.monotonic() < end, f"no {what} after {seconds:.0f} s"
        time.sleep(0.5)


def documents(made: Production, address: str, ca_file: Path, max_rows: int) -> list[Document]:
    """The manifest and the documents beside it."""

    def document(kind: str, name: str, **spec: Any) -> Document:
        return {"apiVersion": "flywheel-ml.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    def topic(name: str) -> Document:
        server = made.broker.address
        return document("Source", name, type="kafka", bootstrap_servers=server, topic=name, received_at="$.received_at")

    pipeline = pipeline_document()
    every_minute = {"infer": "* * * * *", "join_feedback": "* * * * *", "check_drift": None, "reconcile": None}
    pipeline["spec"] |= {"schedules": every_minute, "batch": {"max_rows": max_rows}}
    folder = f"s3://{BUCKET}/{made.prefix}"
    return [
        pipeline,
        *(topic(name) for name in TOPICS),
        document("Source", "history", type="files", uri=str(made.root / "data" / "history"), format="ndjson"),
        document("Sink", "archive", type="table", uri="archive", format="delta"),
        document("Sink", "shout", type="log"),
        document("ModelServer", "model-server", address=address, tls=True, ca_file=str(ca_file), token="${TOKEN}"),
        document("Storage", "archive", prefix="archive", root=f"{folder}/archive", block="s3-bucket/flywheel"),
        document("Storage", "exports", prefix="exports", root=f"{folder}/exports", block="minio-credentials/seaweed"),
    ]


@contextmanager
def production(hosted: Hosted, folder: Path, max_rows: int = 200) -> Iterator[Orchestra]:
    """Run all of it, with the pipeline, which has a champion, in service."""
    with ExitStack() as stack:
        broker = stack.enter_context(tansu_broker(folder / "tansu.log"))
        for name in TOPICS:
            broker.make(name, PARTITIONS)
        copy = hosted.copy(folder / "w")
        made = Production(**{name: getattr(copy, name) for name in Hosted.__dataclass_fields__}, broker=broker)
        server = prefect_server(folder / "prefect", free_port(), folder / "logs")
        client = {**server.environment, "PREFECT_API_AUTH_STRING": AUTH, "PREFECT_LOGGING_LEVEL": "INFO"}
        server.environment = {**server.environment, **_server_secrets(made)}
        stack.enter_context(running(server))
        ours = {**client, **_workspace_settings(made)}
        address = f"127.0.0.1:{free_port()}"
        authority = Authority(folder)
        manifest = folder / "parcels.yaml"
        made_documents = documents(made, address, authority.file, max_rows)
        manifest.write_text("\n---\n".join(json.dumps(each) for each in made_documents))
        _set_up(made, manifest, ours)
        models = stack.enter_context(running(model_server({**ours, **_access(authority)}, address, folder / "logs")))
        runs = stack.enter_context(running(worker(client, folder / "logs")))
        stack.enter_context(_watched([server, models, runs]))
        yield Orchestra(replace(made, address=address), client["PREFECT_API_URL"], server, runs, models, ours)


@contextmanager
def _watched(services: Sequence[Service]) -> Iterator[None]:
    """Start again what ends by itself, as systemd does with ``Restart=always``."""
    over = Event()

    def watch() -> None:
        while not over.wait(AWAY_SECONDS):
            revive(services, print, after={})

    with ThreadPoolExecutor(1) as beside:
        watching = beside.submit(watch)
        try:
            yield
        finally:
            over.set()
            watching.result()


def _server_secrets(made: Production) -> dict[str, str]:
    url = make_url(made.postgresql.fresh()).set(drivername="postgresql+asyncpg")
    return {
        "PREFECT_API_DATABASE_CONNECTION_URL": url.render_as_string(hide_password=False),
        "PREFECT_SERVER_API_AUTH_STRING": AUTH,
    }


def _workspace_settings(made: Production) -> dict[str, str]:
    return {
        "FLYWHEEL_HOME": str(made.workspace.home),
        "FLYWHEEL_LAKE_URI": made.workspace.lake,
        "FLYWHEEL_DATABASE_URL": made.database_url,
        "FLYWHEEL_S3_BLOCK": "minio-credentials/seaweed",
        "TOKEN": TOKEN,
    }


def _access(authority: Authority) -> dict[str, str]:
    certificate = authority.sign("model-server")
    return {
        "FLYWHEEL_MODEL_SERVER_CERTIFICATE_FILE": str(certificate.file),
        "FLYWHEEL_MODEL_SERVER_KEY_FILE": str(certificate.key_file),
        "FLYWHEEL_MODEL_SERVER_TOKEN": TOKEN,
    }


def _set_up(made: Production, manifest: Path, environment: Mapping[str, str]) -> None:
    arguments = [made.s3.endpoint, KEY, SECRET, BUCKET, made.prefix, str(manifest)]
    done = subprocess.run(
        [sys.executable, "-c", _SET_UP, *arguments],
        cwd=made.root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
