"""A batch of predictions, and an Alertmanager that keeps what it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import polars as pl
import pytest

from flywheel.sinks.base import SinkBatch

PREDICTION = pl.Struct({"is_anomaly": pl.Boolean, "score": pl.Float64})


def make_batch(count: int = 4, number: int = 7) -> SinkBatch:
    """Row 1 passed through and row 2 came back as null."""
    status = ["ok"] * count
    prediction: list[dict[str, Any] | None] = [
        {"is_anomaly": i % 2 == 0, "score": i / max(1, count)} for i in range(count)
    ]
    for place, name in ((1, "passthrough"), (2, "return_null")):
        if count > place:
            status[place], prediction[place] = name, None
    start = datetime(2013, 1, 1, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "prediction_id": [f"p{i}" for i in range(count)],
            "event_time": [start + timedelta(seconds=i) for i in range(count)],
            "status": status,
            "cpu": [float(i) for i in range(count)],
            "anomaly_prediction": pl.Series(prediction, dtype=PREDICTION),
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )
    return SinkBatch("anomaly-detection", number, rows)


@dataclass
class Alertmanager:
    """What was posted, and how it answers."""

    url: str = ""
    status: int = 200
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@pytest.fixture
def batch() -> SinkBatch:
    return make_batch()


@pytest.fixture
def long_batch() -> SinkBatch:
    return make_batch(1201)


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    seen = Alertmanager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.requests.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(seen.status)
            self.end_headers()
            self.wfile.write(b'{"message": "as\n asked"}')

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        seen.url = f"http://127.0.0.1:{server.server_address[1]}/"
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield seen
        server.shutdown()
