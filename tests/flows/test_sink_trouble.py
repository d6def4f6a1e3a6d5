"""A sink that takes nothing: predictions are logged all the same, and it gets each batch once it can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from parcels import NAME, Document, Parcels, end_of

from blocks import FlywheelSink
from flows.infer import infer
from flywheel.errors import FlywheelError
from flywheel.manifest.documents import TableSinkSpec, WebhookSinkSpec


@contextmanager
def alertmanager() -> Iterator[tuple[str, list[Document]]]:
    """A server that takes alerts, and the alerts that it has taken."""
    taken: list[Document] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", taken
        finally:
            server.shutdown()


def alert_at(url: str) -> None:
    FlywheelSink(spec=WebhookSinkSpec(type="webhook", url=url, timeout_seconds=5)).save("alerts", overwrite=True)


def archive_at(uri: str) -> None:
    FlywheelSink(spec=TableSinkSpec(type="table", uri=uri)).save("archive", overwrite=True)


def with_alerts(manifest: Document) -> None:
    manifest["spec"]["sinks"] = [
        {"name": "alerts", "condition": "prediction.score > 0.5"},
        {"name": "archive", "all": True},
    ]


def test_a_webhook_that_is_down(parcels: Parcels) -> None:
    parcels.revise(with_alerts)
    alert_at("http://127.0.0.1:1")
    parcels.day(1, 400)
    with pytest.raises(FlywheelError, match=r"sink 'alerts' did not take batch 1") as failed:
        infer(NAME, as_of=end_of(1))
    assert "127.0.0.1:1" in failed.value.what
    assert "every batch is logged" in failed.value.state
    assert "flywheel run infer" in failed.value.next_step
    rows = parcels.table("predictions")
    assert rows.height == 400
    # The other sink is not kept waiting.
    assert parcels.archive().height == 400

    with alertmanager() as (url, taken):
        alert_at(url)
        assert infer(NAME, as_of=end_of(1)).batches == 0
        loud = rows.filter(rows["prediction"].struct.field("score") > 0.5)
        assert sorted(alert["labels"]["prediction_id"] for alert in taken) == sorted(loud["prediction_id"])
        infer(NAME, as_of=end_of(1))
        assert len(taken) == loud.height
    assert parcels.archive().height == 400
    assert list((parcels.root / ".flywheel/lake/parcels/staging").iterdir()) == []


def test_batches_reach_a_table_in_their_order_however_it_fails(parcels: Parcels) -> None:
    """The table knows the newest batch that it has: one that came before its predecessor would hide that."""
    parcels.day(1, 600)
    folder = parcels.root / "archive"
    folder.write_text("not a folder")
    fails_once = FailsOnce(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flywheel.sinks.table.append_once", fails_once)
        with pytest.raises(FlywheelError, match="archive"):
            infer(NAME, as_of=end_of(1))
    assert infer(NAME, as_of=end_of(1)).batches == 0
    assert sorted(parcels.archive()["prediction_id"]) == sorted(parcels.table("predictions")["prediction_id"])


class FailsOnce:
    """Appends to a table, but not the first time: the network was down, the disk was full."""

    def __init__(self, folder: Path) -> None:
        from flywheel.lake.delta import append_once

        self._append_once = append_once
        self._folder = folder

    def __call__(self, *arguments: object, **options: object) -> bool:
        if self._folder.is_file():
            self._folder.unlink()
            raise OSError("no space left on device")
        return self._append_once(*arguments, **options)
