"""A bucket that is not there, as S3 says it over the wire to each of the libraries that ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from flywheel.errors import StorageError
from flywheel.lake.storage import StorageMap
from flywheel.lake.tables import LakeTable, pipeline_tables
from flywheel.manifest.documents import StorageSpec

FILE = "s3://gone/lake/parcels/predictions/date=2026-01-01/part.parquet"
ROWS = pl.DataFrame({"prediction_id": ["a"], "date": [date(2026, 1, 1)]})
Place = tuple[StorageMap, LakeTable]


class _NoSuchBucket(BaseHTTPRequestHandler):
    """Answers every request as S3 does where there is no such bucket."""

    def answer(self) -> None:
        body = b"<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>"
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(_NoSuchBucket, f"do_{_method}", _NoSuchBucket.answer)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _NoSuchBucket) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        spec = StorageSpec(
            prefix="s3://gone",
            root="s3://gone",
            endpoint_url=endpoint,
            region="us-east-1",
            access_key_id="key",
            secret_access_key="secret",
        )
        storage = StorageMap((spec,), Path.cwd())
        tables = pipeline_tables(storage.resolve("s3://gone/lake"), "parcels", pl.Schema({"prediction_id": pl.String}))
        yield storage, tables.predictions
        server.shutdown()


@pytest.mark.parametrize(
    "ask",
    [
        lambda storage, _: storage.read_bytes(FILE),
        lambda storage, _: storage.write(FILE, b"rows"),
        lambda storage, _: storage.write_once(FILE, b"rows"),
        lambda storage, _: storage.list_files("s3://gone/in"),
        lambda _, table: table.files(),
        lambda _, table: table.append_once(ROWS, "parcels/records", 1),
        lambda _, table: table.read([FILE]),
    ],
    ids=["read", "write", "write once", "list", "open a table", "append", "scan"],
)
def test_the_missing_bucket_is_named(place: Place, ask: Callable[[StorageMap, LakeTable], object]) -> None:
    with pytest.raises(StorageError) as raised:
        ask(*place)
    assert "there is no bucket 'gone' for s3://gone/" in raised.value.what
    assert "create it" in raised.value.next_step
