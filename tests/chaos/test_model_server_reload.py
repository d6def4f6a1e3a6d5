"""Champions change and are loaded while batches are scored: no request fails, and each batch is answered by the version
that it is pinned to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from audit import count_ids
from model_trouble import Days, in_trouble
from outcome import Outcome
from parcels import MODEL, NAME, START, Parcels
from tritonclient.grpc import InferenceServerClient, InferInput

from flywheel.records.encode import encode
from flywheel.registry.store import Registry
from flywheel.serving.scoring import score
from flywheel.serving.server import ModelServer

Record = Callable[[Outcome], None]


def register_others(registry: Registry, count: int) -> None:
    """Register versions 2 to ``count`` + 1, each of which answers something else."""
    import skops.io

    loaded = registry.load(MODEL, 1)
    for number in range(2, count + 2):
        loaded.model[-1].intercept_ = loaded.model[-1].intercept_ + 0.25
        data = skops.io.dumps(loaded.model)
        registry.register(MODEL, NAME, f"other {number}", data, loaded.registered.card, {}, START)


class Reloads(threading.Thread):
    """Promotes one version after the other and has each loaded, for as long as ``others`` go on working."""

    def __init__(self, registry: Registry, address: str, count: int) -> None:
        super().__init__()
        self.registry, self.address, self.count = registry, address, count
        self.longest_seconds = 0.0
        self.done = 0

    def run(self) -> None:
        with InferenceServerClient(self.address) as client:
            for version in range(2, self.count + 2):
                begin = time.monotonic()
                self.registry.promote(MODEL, version, version - 1, "under load", START)
                client.load_model(MODEL)
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - begin)
                self.done += 1
                time.sleep(0.1)


class Hammer(threading.Thread):
    """Asks for the champion, whichever that is, until it is stopped; an error ends it."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address
        self.stopped = threading.Event()
        self.answered = 0
        self.error: Exception | None = None

    def run(self) -> None:
        matrix = np.ones((8, 3))
        tensor = InferInput("features", matrix.shape, "FP64").set_data_from_numpy(matrix)
        try:
            with InferenceServerClient(self.address) as client:
                while not self.stopped.is_set():
                    client.infer(MODEL, [tensor])
                    self.answered += 1
        except Exception as error:
            self.error = error


def attack(made: Parcels, reloads: int, folder: Path) -> Outcome:
    """Score day after day while the champion changes."""
    copy = made.copy(folder / "w")
    registry = copy.context.registry
    register_others(registry, reloads)
    with ModelServer(registry, "127.0.0.1:0", poll_seconds=60) as server:
        served = Parcels(copy.root, server.address)
        served.revise(in_trouble("error", timeout_ms=60_000, max_retries=0))
        days, hammer = Days(served), Hammer(server.address)
        changes = Reloads(registry, server.address, reloads)
        hammer.start()
        changes.start()
        try:
            while changes.is_alive():
                days.new()
                assert days.infer(), "a request failed"
        finally:
            changes.join()
            hammer.stopped.set()
            hammer.join()
    assert hammer.error is None
    assert hammer.answered > 0
    assert changes.done == reloads
    rows = served.table("predictions")
    assert rows["model_version"].n_unique() > 1
    for (version,), group in rows.group_by("model_version"):
        assert_answered_by(registry, int(version), group)
    losses = count_ids(served, days.seen)
    assert losses.lost == losses.twice == 0
    fault = "model server reloads a new champion under load"
    return Outcome(fault, "embedded", reloads, losses.rows, losses.lost, losses.twice, changes.longest_seconds)


def assert_answered_by(registry: Registry, version: int, rows: pl.DataFrame) -> None:
    """Fail unless these rows' scores are what this version says."""
    loaded = registry.load(MODEL, version)
    card = loaded.registered.card
    probabilities = score(loaded.model, card.task, encode(rows, card.encoding))["probabilities"]
    expected = probabilities[:, card.classes.index(card.target or "")]
    np.testing.assert_array_equal(rows["prediction"].struct.field("score").to_numpy(), expected)


def test_reloaded_under_load(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(attack(embedded, 5, tmp_path))


@pytest.mark.chaos
def test_reloaded_a_hundred_times(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(attack(embedded, 100, tmp_path))
