"""A whole pipeline for the micro-batch: a folder of Parquet, twenty numbers, a gradient boosting, a model server.

Records have random ids and come in the order of their times, ``a_day`` of them a day. Everything is drawn from a seed
and made once for each size; what a contender writes goes to a copy of the workspace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.manifest.documents import FilesSourceSpec, ModelServerSpec, TableSinkSpec
from flywheel.workspace import Workspace

NAME, MODEL = "orders", "late-order"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FEATURES = [f"f{number:02d}" for number in range(20)]
FILE_ROWS = 250_000
_HISTORY_ROWS = 5_000
_MADE = "made"


@dataclass(frozen=True, slots=True)
class Stream:
    """``rows`` records in the folder, ``a_day`` of them a day."""

    rows: int
    a_day: int = 1_000_000
    seed: int = 5

    @property
    def end(self) -> datetime:
        """When all of them are known."""
        return START + DAY * (self.rows / self.a_day) + DAY


def made_workspace(folder: Path, stream: Stream) -> Path:
    """The workspace with its records, its history and a champion; made once, to be copied."""
    root = folder / f"batch-{stream.rows}-{stream.a_day}-{stream.seed}"
    if not (root / _MADE).exists():
        shutil.rmtree(root, ignore_errors=True)
        for name in ("records", "history"):
            (root / name).mkdir(parents=True)
        _write_records(root / "records", stream)
        _write_history(root / "history", stream.seed)
        _train(root)
        (root / _MADE).touch()
    return root


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """A workspace of one's own beside ``root``, whose records it shares; gone afterwards."""
    copy = Path(tempfile.mkdtemp(prefix="run-", dir=root.parent))
    try:
        shutil.copytree(root / ".flywheel", copy / ".flywheel")
        (copy / "records").symlink_to(root / "records")
        yield copy
    finally:
        shutil.rmtree(copy)


def opened(root: Path, address: str) -> PipelineContext:
    """The pipeline in a workspace, with its model server at ``address``."""
    sources = {
        name: FilesSourceSpec(type="files", uri=name, format="parquet", event_time="$.timestamp")
        for name in ("records", "history")
    }
    connections = Connections(
        sources=sources,
        sinks={"likely-late": TableSinkSpec(type="table", uri="likely-late", format="parquet")},
        model_servers={"model-server": ModelServerSpec(address=address)},
    )
    return open_pipeline(Workspace(home=root / ".flywheel"), NAME, connections)


@contextmanager
def model_server(root: Path) -> Iterator[str]:
    """``flywheel serve-models`` as a process of its own; gives its address."""
    ready = root / "ready"
    ready.unlink(missing_ok=True)
    argv = [Path(sys.executable).with_name("flywheel"), "serve-models", "--address", "127.0.0.1:0"]
    with subprocess.Popen(
        [*argv, "--ready-file", ready], cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not ready.exists() or not ready.read_text():
                assert process.poll() is None, "the model server ended before it was ready"
                time.sleep(0.05)
            yield ready.read_text().strip()
        finally:
            process.terminate()


def drawn_records(first: int, count: int, stream: Stream) -> pl.DataFrame:
    """Records ``first``, ``first + 1``, … of a stream."""
    random = np.random.default_rng([stream.seed, first])
    offsets = (np.arange(first, first + count) * (86_400_000_000 / stream.a_day)).astype("m8[us]")
    return pl.DataFrame(
        {
            "id": _ids(random, count),
            "timestamp": pl.Series(np.datetime64(START.replace(tzinfo=None), "us") + offsets).dt.replace_time_zone(
                "UTC"
            ),
            **{name: random.normal(size=count) for name in FEATURES},
        }
    )


def _ids(random: np.random.Generator, count: int) -> pl.Series:
    digits = random.bytes(16 * count).hex()
    return pl.Series([digits]).str.extract_all(".{32}").explode()


def _write_records(folder: Path, stream: Stream) -> None:
    for first in range(0, stream.rows, FILE_ROWS):
        rows = drawn_records(first, min(FILE_ROWS, stream.rows - first), stream)
        rows.write_parquet(folder / f"{first:010d}.parquet", row_group_size=50_000)


def _write_history(folder: Path, seed: int) -> None:
    before = Stream(_HISTORY_ROWS, _HISTORY_ROWS // 20, seed + 1)
    rows = drawn_records(0, _HISTORY_ROWS, before).with_columns(pl.col("timestamp") - 30 * DAY)
    luck = np.random.default_rng(seed).normal(size=_HISTORY_ROWS)
    late = pl.col("f00") + pl.col("f01") * pl.col("f02") + pl.Series(luck) > 1
    outcome = pl.when(late).then(pl.lit("late")).otherwise(pl.lit("on_time"))
    rows.with_columns(outcome=outcome).write_parquet(folder / "history.parquet")


def _train(root: Path) -> None:
    from flywheel.metadata.revisions import Revisions
    from flywheel.retraining.fit import fit_candidate
    from flywheel.retraining.promotion import conclude
    from flywheel.retraining.request import claim

    workspace = Workspace(home=root / ".flywheel")
    workspace.database().create()
    Revisions(workspace.database()).apply(NAME, yaml.safe_dump(_manifest()), None)
    context = opened(root, "127.0.0.1:1")
    request = claim(context, START, None)
    done = conclude(context, request, fit_candidate(context, request, None), None)
    assert done.outcome == "promoted", done


def _manifest() -> dict[str, object]:
    features = [{"name": name, "source_field": f"$.{name}"} for name in FEATURES]
    inference = {
        "model_endpoint": "model-server:50051",
        "model_id": MODEL,
        "input_features": FEATURES,
        "timeout_ms": 30_000,
        "batch_size": 10_000,
        "fallback": "error",
    }
    drift = {"window": "1d", "min_rows": 1000, "thresholds": {"psi": 0.2}, "on_drift": "alert"}
    return {
        "apiVersion": "flywheel-ml.io/v1",
        "kind": "FlywheelPipeline",
        "metadata": {"name": NAME},
        "spec": {
            "source": "records",
            "stages": [
                {"id": "features", "type": "feature-extraction", "config": {"features": features}},
                {"id": "inference", "type": "ml-inference", "config": inference},
                {"id": "drift", "type": "drift-detection", "config": drift},
            ],
            "feedback": {
                "source": "history",
                "join_key": "$.id",
                "max_delay_hours": 24,
                "labels": [{"event": "late", "label": "late"}, {"event": "on_time", "label": "on_time"}],
            },
            "training": {
                "task": "classification",
                "algorithm": "hist_gradient_boosting",
                "target": "late",
                "holdout": "1d",
                "min_rows": 100,
                "bootstrap": {"source": "history", "label_field": "$.outcome"},
            },
            "sinks": [{"name": "likely-late", "condition": "prediction.score > 0.9"}],
            "batch": {"max_rows": 10_000},
        },
    }
