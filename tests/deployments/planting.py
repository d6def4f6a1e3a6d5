"""Runs the loop with a marked secret in every place that takes one, and lets everything fail that can.

``python planting.py FOLDER POSTGRESQL_URL``; the secrets are in the environment. All that is said goes to standard
output and error; the Prefect server's database is copied into the folder at the end.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from prefect import get_client
from prefect.client.schemas.filters import LogFilter
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))

from parcels import MODEL, NAME, Document, Parcels, end_of, known_after, pipeline_document

from flywheel.cli import main
from flywheel.context import open_pipeline
from flywheel.registry.store import Registry
from flywheel.scoring import score
from flywheel.serving.server import ModelServer
from flywheel.serving.settings import ServerAccess
from flywheel.workspace import Workspace

CANARY = "canary-that-may-be-seen"


class Echo(BaseHTTPRequestHandler):
    """Refuses everything, and says in its answer what it was asked, headers and all."""

    def refuse(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = f"{self.headers.get('Authorization')} {self.headers} {body[:200]!r}"
        answer = f"<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else answer)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = refuse  # noqa: N815

    def log_message(self, *_arguments: Any) -> None:
        return


class EchoModels(GRPCInferenceServiceServicer):
    """A model server that answers every question with an error which repeats the caller's token."""

    def __getattribute__(self, name: str) -> Any:
        return _repeat if name[0].isupper() else super().__getattribute__(name)


def _repeat(_request: Any, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.INTERNAL, f"no answer to {context.invocation_metadata()}")


@contextmanager
def echoes() -> Iterator[tuple[str, str]]:
    """The addresses of the two."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with ThreadPoolExecutor(4) as pool:
        models = grpc.server(pool)
        add_GRPCInferenceServiceServicer_to_server(EchoModels(), models)
        port = models.add_insecure_port("127.0.0.1:0")
        models.start()
        yield f"http://127.0.0.1:{server.server_port}", f"127.0.0.1:{port}"
        models.stop(None).wait()
    server.shutdown()


def documents(models: str, echo: str) -> str:
    """The parcels pipeline, and three like it whose sources fail; every secret is a variable's name."""

    def document(kind: str, name: str, **spec: Any) -> Document:
        return {"apiVersion": "flywheel-ml.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    def pipeline(name: str, source: str) -> Document:
        made = pipeline_document()
        made["metadata"]["name"], made["spec"]["source"] = name, source
        made["spec"]["sinks"] = [{"name": "archive", "all": True}, {"name": "alerts", "all": True}]
        return made

    sasl = {"protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "sasl_username": "u"}
    made = [
        pipeline(NAME, "parcels"),
        pipeline("parcels-sql", "by-sql"),
        pipeline("parcels-kafka", "by-kafka"),
        pipeline("parcels-s3", "by-s3"),
        document("Source", "parcels", type="files", uri="data/parcels", format="ndjson"),
        document("Source", "deliveries", type="files", uri="data/deliveries", format="ndjson"),
        document("Source", "history", type="files", uri="data/history", format="ndjson"),
        document("Source", "by-sql", type="sql", url="postgresql+psycopg://u:${PLANT_SQL}@127.0.0.1:1/d",
                 query="select 1 as id", cursor="id"),
        document("Source", "by-kafka", type="kafka", bootstrap_servers="127.0.0.1:1", topic="t", timeout_seconds=1,
                 security={**sasl, "sasl_password": "${PLANT_KAFKA}"}),
        document("Source", "by-s3", type="files", uri="s3://bucket/in", format="parquet"),
        document("Sink", "archive", type="table", uri="s3://bucket/archive", format="delta"),
        document("Sink", "alerts", type="webhook", url=echo, token="${PLANT_WEBHOOK}", labels={"canary": CANARY}),
        document("ModelServer", "model-server", address=models, token="${PLANT_MODELS}"),
        document("Storage", "bucket", prefix="s3://bucket", root="s3://bucket", endpoint_url=echo,
                 access_key_id="key", secret_access_key="${PLANT_S3}", region="us-east-1"),
    ]  # fmt: skip
    return "\n---\n".join(json.dumps(each) for each in made)


def broken_documents(folder: Path) -> Iterator[Path]:
    """Files with secrets in them, as nobody should write them, and mistakes beside the secrets."""
    secret = os.environ["PLANT_INLINE"]
    head = "apiVersion: flywheel-ml.io/v1\nkind: {kind}\nmetadata: {{name: x}}\nspec:\n"
    texts = {
        "field": head.format(kind="Source")
        + f"  type: sql\n  url: postgresql://u:{secret}@h/d\n  qery: 1\n  cursor: [1]\n",
        "type": head.format(kind="Sink") + f"  type: webhook\n  url: x\n  token: [{secret}]\n",
        "word": head.format(kind="Sink") + f"  type: webhook\n  url: http://h\n  token: two {secret}\n",
        "name": head.format(kind="Storage") + f"  prefix: p\n  root: r\n  secret_acess_key: {secret}\n",
        "clear": head.format(kind="ModelServer") + f"  address: models:1\n  token: {secret}\n",
        "user": head.format(kind="Sink") + f"  type: webhook\n  url: http://u:{secret}@h\n",
        "yaml": head.format(kind="Sink") + f'  type: webhook\n  url: http://h\n  token: "{secret}\n  more: ]\n',
        "twice": head.format(kind="Sink") + f"  type: webhook\n  url: http://h\n  token: {secret}\n  token: {secret}\n",
    }
    for name, text in texts.items():
        path = folder / f"{name}.yaml"
        path.write_text(text)
        yield path


def attempt(act: Callable[[], object]) -> None:
    """Do it; whatever goes wrong is printed as Python does."""
    try:
        act()
    except SystemExit as end:
        print("exit", end.code, flush=True)
    except BaseException:
        traceback.print_exc()


def flywheel(*arguments: str) -> None:
    print("$ flywheel", *arguments, flush=True)
    start = time.monotonic()
    attempt(lambda: main(arguments))
    print(f"took {time.monotonic() - start:.1f} s", flush=True)


def run_everything(root: Path, models: str, refusing: str) -> None:
    """The loop, with the sinks refusing; then one thing after the other fails."""
    manifest = root / "parcels.yaml"
    manifest.write_text(documents(models, refusing))
    parcels = Parcels(root)
    parcels.make()
    parcels.day(1, 200, shift=100)
    parcels.broken_records("01.ndjson", "not JSON")
    flywheel("init")
    flywheel("validate", "-f", str(manifest), "--json")
    flywheel("apply", "-f", str(manifest))
    flywheel("run", "retrain", "-p", NAME, "--as-of", "2024-03-01", "--json")
    for flow, when in (("infer", end_of(1)), ("join-feedback", known_after(1)), ("check-drift", known_after(1))):
        flywheel("run", flow, "-p", NAME, "--as-of", when.isoformat(), "--json")
    flywheel("run", "reconcile", "-p", NAME, "--as-of", end_of(2).isoformat(), "--json")
    for name in ("parcels-sql", "parcels-kafka", "parcels-s3"):
        flywheel("run", "infer", "-p", name)


def look(folder: Path) -> None:
    """Every command that answers."""
    for kind in ("pipelines", "sources", "sinks", "model-servers", "storages"):
        flywheel("get", kind, "--json")
        flywheel("get", kind)
    for command in ("health", "health pipeline parcels", "stats", "drift status", "drift history -p parcels",
                    "model list", f"model show {MODEL}", f"model history {MODEL}", f"model compare {MODEL} 1 2",
                    "review list --all", "quarantine list -p parcels", "graph parcels", "get pipelines parcels",
                    ):  # fmt: skip
        flywheel(*command.split(), "--json")
        flywheel(*command.split())
    flywheel("export", "-p", NAME, "-o", str(folder / "out"), "--as-of", end_of(2).isoformat(), "--json")
    flywheel("model", "rollback", MODEL, "-m", "a test", "--json")
    flywheel("logs", NAME)


def fail(root: Path, echoing_models: str, refusing: str, given: Path) -> None:
    """Wrong tokens, an indiscreet model server, a bug, dead databases, a Prefect server that knows us not."""
    manifest = root / "parcels.yaml"
    Parcels(root).day(2, 50)
    later = ("run", "infer", "-p", NAME, "--as-of", end_of(2).isoformat())
    good = os.environ["PLANT_MODELS"]
    os.environ["PLANT_MODELS"] = os.environ["PLANT_WRONG"]
    flywheel("apply", "-f", str(manifest))
    flywheel(*later)
    os.environ["PLANT_MODELS"] = good
    right = manifest.read_text()
    manifest.write_text(documents(echoing_models, refusing))
    flywheel("apply", "-f", str(manifest))
    flywheel(*later)
    manifest.write_text(right)
    flywheel("apply", "-f", str(manifest))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "prepare", _bug)
        flywheel(*later)
    for path in broken_documents(given):
        flywheel("validate", "-f", str(path), "--json")
        flywheel("validate", "-f", str(path))
        flywheel("apply", "-f", str(path))
    with temporary_settings({PREFECT_API_AUTH_STRING: f"u:{os.environ['PLANT_WRONG']}"}):
        flywheel("apply", "-f", str(manifest))
        flywheel(*later)
    with pytest.MonkeyPatch.context() as patch:
        for url in ("postgresql+psycopg://u:{}@127.0.0.1:1/d", "postgresql+nothing://u:{}@h/d", "no url {}"):
            patch.setenv("FLYWHEEL_DATABASE_URL", url.format(os.environ["PLANT_WRONG"]))
            flywheel("health", "--json")
            flywheel("init")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYWHEEL_LAKE_URI", "s3://bucket/lake")
        patch.setenv("FLYWHEEL_S3_ENDPOINT_URL", refusing)
        flywheel("export", "-p", NAME, "-o", str(root / "out2"))
        flywheel("quarantine", "list", "-p", NAME)
    flywheel("delete", "parcels-s3")


def _bug(*arguments: Any) -> None:
    context = open_pipeline(Workspace(), NAME, _connections())
    raise RuntimeError(
        f"a bug that prints all it has: {arguments!r} {context!r} {context.workspace!r} {context.database!r}"
    )


def _connections() -> Any:
    from tasks.connect import connect

    return connect(NAME).connections


def keep_prefects_database(folder: Path) -> None:
    """Copy it once the logs and events that are under way have arrived."""
    with get_client(sync_client=True) as client:
        before = -1
        while before != (now := len(client.read_logs(LogFilter(), limit=200, offset=max(0, before)))):
            before = now
            time.sleep(3)
    file = Path(str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value()).partition(":///")[2])
    for each in file.parent.glob(f"{file.name}*"):
        shutil.copy(each, folder / each.name)


def talk() -> None:
    """Log all that any library says, but for one: Prefect's connection for events would tell its own header."""
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("websockets").setLevel(logging.INFO)


def play(folder: Path, database_url: str) -> None:
    root, given, kept = folder / "w", folder.parent / "given", folder / "prefect"
    for made in (root, given, kept):
        made.mkdir(parents=True)
    os.chdir(root)
    os.environ["FLYWHEEL_DATABASE_URL"] = database_url
    workspace = Workspace()
    registry = Registry(workspace.database(), workspace.storage(), f"{workspace.lake}/models")
    access = ServerAccess(model_server_token=os.environ["PLANT_MODELS"])
    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
        echoes() as (refusing, echoing_models),
    ):
        talk()
        workspace.database().create()
        with ModelServer(registry, "127.0.0.1:0", access=access) as server:
            run_everything(root, server.address, refusing)
            look(folder)
            fail(root, echoing_models, refusing, given)
        keep_prefects_database(kept)


if __name__ == "__main__":
    play(Path(sys.argv[1]), sys.argv[2])
