"""``flywheel up`` where it can't start."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.local import up
from deployments.processes import free_port
from flywheel.errors import FlywheelError, ManifestError
from flywheel.workspace import Workspace


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def start(folder: Path, port: int, address: str, *manifests: Path) -> list[str]:
    """Try to start; return what was said before it failed."""
    said: list[str] = []
    up(Workspace(home=folder / "w"), manifests, said.append, prefect_port=port, model_server_address=address)
    return said


def test_a_taken_port_of_the_server_is_told(tmp_path: Path, taken: int) -> None:
    with pytest.raises(FlywheelError, match=f"the Prefect server can't listen on 127.0.0.1:{taken}") as caught:
        start(tmp_path, taken, f"127.0.0.1:{free_port()}")
    assert caught.value.state == "nothing was started"
    assert "--port" in caught.value.next_step
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["127.0.0.1:{taken}", "127.0.0.1", "127.0.0.1:port", "127.0.0.1:99999"])
def test_a_model_server_that_could_not_listen_is_told_before_anything_starts(
    tmp_path: Path, taken: int, address: str
) -> None:
    with pytest.raises(FlywheelError, match="the model server can't listen on") as caught:
        start(tmp_path, free_port(), address.format(taken=taken))
    assert "--model-server" in caught.value.next_step
    assert not list(tmp_path.iterdir())


def test_a_bad_manifest_is_told_before_anything_starts(tmp_path: Path) -> None:
    manifest = tmp_path / "bad.yaml"
    manifest.write_text("kind: FlywheelPipeline\n")
    with pytest.raises(ManifestError):
        start(tmp_path, free_port(), f"127.0.0.1:{free_port()}", manifest)
    assert list(tmp_path.iterdir()) == [manifest]
