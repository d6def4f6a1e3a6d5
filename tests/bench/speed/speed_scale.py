"""Flows whose parts run on processes of Dask: two processes beside one, through the flows themselves.

``reprofile`` is a map with nothing to merge, ``backfill`` one whose parts are logged in order by the run's own process.
Every process has one thread; the cluster is there before the clock starts, as that takes the same time for any work.
"""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import speed_pipeline as made
from speed_line import Line, at_least
from speed_pipeline import Stream
from speed_run import Contender, compare

from flywheel.workspace import Workspace

HERE = "speed_scale"
_VARIABLES = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_ENABLED": "false",
}
_LOGGED = "logged"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Records that are logged and profiled again, and records of a backlog; calls of each contender."""

    logged: Stream
    backlog: Stream
    runs: int


FULL = Sizes(Stream(4_000_000), Stream(500_000), 3)
SLICE = Sizes(Stream(200_000), Stream(50_000), 1)


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Two processes beside one, for each kind of flow."""
    return [*reprofile_lines(sizes, folder), *backfill_lines(sizes, folder)]


def reprofile_lines(sizes: Sizes, folder: Path) -> list[Line]:
    """Profiles of all that is logged."""
    root = str(logged_workspace(folder, sizes.logged))
    contenders = [
        Contender(f"{workers}", f"{HERE}:reprofiled", {"root": root, "workers": workers}, variables=_VARIABLES)
        for workers in (1, 2)
    ]
    found = compare(contenders, sizes.runs)
    one, two = found["1"], found["2"]
    assert one.returned == two.returned
    beside = f"{sizes.logged.rows:,} rows in {two.wall:.1f} s, with one process {one.wall:.1f} s"
    return [at_least("scale", "profiling again: two processes beside one", one.wall / two.wall, "×", 1.6, beside)]


def backfill_lines(sizes: Sizes, folder: Path) -> list[Line]:
    """A backlog, scored by a model server that is a process too, beside ``infer``."""
    root = str(made.made_workspace(folder, sizes.backlog))
    contenders = [
        Contender("infer", f"{HERE}:drained", {"root": root, "workers": 0}, variables=_VARIABLES),
        *(
            Contender(f"{workers}", f"{HERE}:drained", {"root": root, "workers": workers}, variables=_VARIABLES)
            for workers in (1, 2)
        ),
    ]
    found = compare(contenders, sizes.runs)
    infer, one, two = found["infer"], found["1"], found["2"]
    assert infer.returned == one.returned == two.returned
    told = ", ".join(f"{name} {sizes.backlog.rows / cost.wall:,.0f} rows/s" for name, cost in found.items())
    return [
        at_least("scale", "a backlog: two processes beside one", one.wall / two.wall, "×", 1.0, told),
        at_least("scale", "a backlog: two processes beside infer", infer.wall / two.wall, "×", 1.2, told),
    ]


def logged_workspace(folder: Path, stream: Stream) -> Path:
    """A workspace whose records are all logged; made once."""
    root = made.made_workspace(folder, stream)
    place = root.with_name(f"{root.name}-{_LOGGED}")
    if not (place / _LOGGED).exists():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(root / ".flywheel", place / ".flywheel")
        (place / "records").symlink_to(root / "records")
        _log_all(place, stream)
        (place / _LOGGED).touch()
    return place


def reprofiled(root: str, workers: int) -> Callable[[], list[int]]:
    """Run ``reprofile`` over a log without profiles; answers with batches, rows and the sum of all counts."""
    stack = ExitStack()
    atexit.register(stack.close)
    place = stack.enter_context(made.copied(Path(root)))
    stack.enter_context(_prefect(place, "127.0.0.1:1", workers))
    context = made.opened(place, "127.0.0.1:1")
    as_of = context.records.latest()
    assert as_of is not None

    def call() -> list[int]:
        from flows.reprofile import reprofile

        shutil.rmtree(context.tables.profiles.location.uri, ignore_errors=True)
        found = reprofile(made.NAME, as_of=as_of.as_of, days=3650)
        table = context.tables.profiles
        counts = table.read(table.files(), ["count", "bin"])
        weighed = (counts["count"] * counts["bin"]).sum()
        return [found.batches, found.rows, int(counts["count"].sum()), int(weighed)]

    return call


def drained(root: str, workers: int) -> Callable[[], list[float]]:
    """Drain the backlog in a new copy of the workspace: by ``infer`` without workers, else by ``backfill``."""
    stack = ExitStack()
    atexit.register(stack.close)
    address = stack.enter_context(made.model_server(stack.enter_context(made.copied(Path(root)))))
    stack.enter_context(_prefect(Path(root), address, workers))

    def call() -> list[float]:
        from flows.backfill import backfill
        from flows.infer import infer

        with made.copied(Path(root)) as place:
            _select(place)
            flow: Any = backfill if workers else infer
            done = flow(made.NAME, as_of=Stream(10**9).end)
            table = made.opened(place, address).tables.predictions
            scores = table.read(table.files(), ["prediction"])["prediction"].struct.field("score")
            return [done.batches, done.ok, round(float(scores.sum()), 6)]

    return call


def _log_all(place: Path, stream: Stream) -> None:
    from flywheel.scoring.log import log_batch
    from flywheel.scoring.plan import plan_batch
    from flywheel.scoring.score import score_batch
    from flywheel.scoring.staging import unstage
    from tasks.score import open_scoring

    with made.model_server(place) as address:
        context = made.opened(place, address)
        with open_scoring(context) as scoring:
            while entry := plan_batch(context, scoring.source, scoring.client, stream.end):
                log_batch(context, entry, score_batch(context, entry, scoring.source, scoring.spec, scoring.client))
                unstage(context, entry.number)


@contextmanager
def _prefect(root: Path, address: str, workers: int) -> Iterator[None]:
    """A Prefect server with the pipeline's blocks, and so many processes of Dask, which flows are told to take."""
    from distributed import LocalCluster
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    from blocks import FlywheelModelServer, FlywheelSink, FlywheelSource
    from deployments.workspace import initialise

    with ExitStack() as stack:
        stack.enter_context(prefect_test_harness(server_startup_timeout=120))
        stack.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
        initialise(Workspace(home=root / ".flywheel"))
        connections = made.opened(root, address).connections
        for kind, specs in (
            (FlywheelSource, connections.sources),
            (FlywheelSink, connections.sinks),
            (FlywheelModelServer, connections.model_servers),
        ):
            for name, spec in specs.items():
                kind(spec=spec).save(name, overwrite=True)
        if workers:
            started = LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None)
            cluster = stack.enter_context(started)
            os.environ |= {
                "FLYWHEEL_RUNNER": "dask",
                "FLYWHEEL_RUNNER_WORKERS": str(workers),
                "FLYWHEEL_DASK_ADDRESS": cluster.scheduler_address,
            }
        yield


def _select(root: Path) -> None:
    from blocks import FlywheelWorkspace
    from blocks.workspace import DEFAULT_NAME

    FlywheelWorkspace.of(Workspace(home=root / ".flywheel")).save(DEFAULT_NAME, overwrite=True)
