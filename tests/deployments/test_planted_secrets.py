"""Secrets are planted wherever one is taken; then everything that was written or said is searched for them."""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import ZipFile

import polars as pl
import pytest
from sqlalchemy import URL, NullPool, create_engine, inspect, make_url, text

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

import processes

# A server, PostgreSQL, Kafka, S3 and a model server, for everything that takes a secret: a minute and a half.
pytestmark = pytest.mark.slow

PLANTED = {name: f"planted-{name.lower()}-7Q2v9K" for name in (
    "SQL", "KAFKA", "WEBHOOK", "S3", "MODELS", "WRONG", "INLINE", "DATABASE", "WORKSPACE", "PREFECT"
)}  # fmt: skip
CANARY = "canary-that-may-be-seen"


@dataclass(frozen=True)
class Aftermath:
    """All that the run left: what it said, and the folder that it worked in."""

    said: str
    folder: Path

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Every file, and what is in those that compress or split it."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                name, content = str(path.relative_to(self.folder)), path.read_bytes()
                found[name] = content + b"".join(_inside(path))
        return found


def _inside(path: Path) -> Iterator[bytes]:
    if path.suffix == ".parquet":
        yield pl.read_parquet(path, hive_partitioning=False).write_ndjson().encode()
    elif path.suffix == ".skops":
        with ZipFile(path) as parts:
            yield from (parts.read(part) for part in parts.namelist())
    elif path.suffix == ".db":
        with closing(sqlite3.connect(path)) as connection:
            yield "\n".join(connection.iterdump()).encode()


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    folder = tmp_path_factory.mktemp("planted") / "all"
    secrets = {f"PLANT_{name}": secret for name, secret in PLANTED.items()}
    auth = f"admin:{PLANTED['PREFECT']}"
    settings = {
        "FLYWHEEL_S3_ACCESS_KEY_ID": "key",
        "FLYWHEEL_S3_SECRET_ACCESS_KEY": PLANTED["WORKSPACE"],
        "FLYWHEEL_S3_REGION": "us-east-1",
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flywheel,sqlalchemy,httpx,httpcore,alembic,grpc",
    }
    with processes.postgresql() as postgresql:
        url = make_url(postgresql.fresh()).set(password=PLANTED["DATABASE"])
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("planting.py")), str(folder),
             url.render_as_string(hide_password=False)],
            env={**os.environ, **secrets, **settings}, cwd=folder.parent, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=500, check=False,
        )  # fmt: skip
        (folder / "said").write_text(done.stdout)
        assert done.returncode == 0, done.stdout[-5000:]
        (folder / "metadata").write_text("\n".join(rows_of(url)))
        yield Aftermath(done.stdout, folder)


def rows_of(url: URL) -> Iterator[str]:
    """Every row of every table of the metadata database."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')):
                yield f"{table}: {row!r}"


def test_what_should_have_happened_did(aftermath: Aftermath) -> None:
    """Else there would be nothing to find."""
    for told in (
        "sink 'alerts' did not take batch 1",
        "sink 'archive' did not take batch 1",
        "the request's bearer token is not one that is taken here",
        "no answer to",
        "a bug that prints all it has",
        '"outcome": "drift"',
        "the metadata database",
        "Unauthorized",
    ):
        assert told in aftermath.said, told
    for flow in ("parcels-sql", "parcels-kafka", "parcels-s3"):
        assert f"infer {flow}" in aftermath.said
    prefects = next(content for name, content in aftermath.files.items() if name.endswith("prefect-test.db"))
    for kept in (
        b"a bug that prints all it has",
        b"flywheel.drift.detected",
        b"infer parcels-kafka",
        b'INSERT INTO "block_document"',
    ):
        assert kept in prefects, kept
    assert CANARY.encode() in aftermath.files["metadata"]
    assert any(b"p1-0" in content for name, content in aftermath.files.items() if name.endswith(".parquet"))


@pytest.mark.parametrize("name", PLANTED)
def test_a_secret_is_nowhere(aftermath: Aftermath, name: str) -> None:
    """Nothing is left out of the search: in Prefect's database blocks are encrypted, so that they are not found."""
    forms = [form.encode() for form in written_forms(PLANTED[name])]
    found = {}
    for place, content in aftermath.files.items():
        for form in forms:
            at = content.find(form)
            if at >= 0:
                found[place] = content[max(0, at - 300) : at + 100]
    assert found == {}


def written_forms(secret: str) -> list[str]:
    """As it is, and as base64 has it inside of a longer text."""
    shifted = [base64.b64encode(b" " * shift + secret.encode()).decode()[4:-4] for shift in range(3)]
    return [secret, *shifted]
