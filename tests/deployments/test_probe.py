"""What the health checks of containers ask: ``python -m deployments.probe``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from deployments.probe import answers
from deployments.processes import free_port
from flywheel.metadata.database import Database
from flywheel.registry.store import Registry
from flywheel.serving.server import ModelServer
from flywheel.serving.settings import ServerAccess
from flywheel.workspace import Workspace


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Health)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    database = Database(f"sqlite:///{tmp_path}/metadata.db")
    database.create()
    workspace = Workspace(home=tmp_path)
    return Registry(database, workspace.storage(), f"{workspace.lake}/models")


def test_a_web_server_is_well_only_when_it_says_so(http: str) -> None:
    assert answers(f"{http}/well")
    assert not answers(f"{http}/ill")
    assert not answers(f"http://127.0.0.1:{free_port()}/well")


def test_a_model_server_answers_whoever_has_no_token(registry: Registry) -> None:
    access = ServerAccess(model_server_token="a-long-random-text")
    with ModelServer(registry, "127.0.0.1:0", access=access) as server:
        address = server.address
        # It listens before it has imported what models are run with.
        assert any(answers(address) for _ in range(12))
    assert not answers(address)


def test_what_is_no_model_server_is_not_taken_for_one(http: str) -> None:
    assert not answers(http.removeprefix("http://"))
    assert not answers(http.removeprefix("http://"), tls=True)


@pytest.mark.parametrize(("path", "code"), [("well", 0), ("ill", 1)])
def test_a_container_is_told_by_the_exit_code(http: str, path: str, code: int) -> None:
    command = [sys.executable, "-m", "deployments.probe", f"{http}/{path}"]
    assert subprocess.run(command, timeout=60, check=False).returncode == code
