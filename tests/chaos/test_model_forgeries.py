"""Model files that were changed, swapped or forged, under load: refused by name, and the champion answers."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import skops.io
from outcome import Outcome
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))

from forgeries import AS_OF, CARD, forgeries, model_bytes

from flywheel.lake.storage import StorageMap
from flywheel.metadata.database import Database
from flywheel.registry.store import Registry
from flywheel.serving.server import ModelServer

Record = Callable[[Outcome], None]
MODEL = "delays"
MATRIX = np.random.default_rng(1).normal(size=(16, 2))
CLIENTS = 2
SLICE, WHOLE = 1, 50


@dataclass
class Load:
    """What clients got that ask without a pause: rows, those without an answer, those answered by no such version."""

    expected: dict[str, np.ndarray] = field(default_factory=dict)
    served: str = ""
    rows: int = 0
    unanswered: int = 0
    wrong: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def ask(self, address: str) -> None:
        tensor = InferInput("features", MATRIX.shape, "FP64").set_data_from_numpy(MATRIX)
        with InferenceServerClient(address) as client:
            while not self._stopping.is_set():
                try:
                    answer = client.infer(MODEL, [tensor])
                    version, values = answer.get_response().model_version, answer.as_numpy("value")
                    self._note(version, np.array_equal(values, self.expected[version]))
                except InferenceServerException:
                    self._note("", False)

    def stop(self) -> None:
        self._stopping.set()

    def wait_for(self, version: str, rows: int = 0) -> None:
        """Return when this version has answered, so many rows later."""
        until, end = self.rows + rows, time.monotonic() + 30
        while self.served != version or self.rows < until:
            assert time.monotonic() < end, f"version {self.served} answers, not {version}"
            time.sleep(0.002)

    def _note(self, version: str, is_right: bool) -> None:
        with self._lock:
            self.rows += len(MATRIX)
            self.unanswered += len(MATRIX) * (not version)
            self.wrong += len(MATRIX) * bool(version and not is_right)
            self.served = version or self.served


@contextmanager
def asking(address: str, load: Load) -> Iterator[None]:
    threads = [threading.Thread(target=load.ask, args=(address,)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        load.stop()
        for thread in threads:
            thread.join()


def forge(rounds: int, folder: Path) -> Outcome:
    """Promote a version whose file was forged, again and again, and put the right file back after each."""
    database = Database(f"sqlite:///{folder}/flywheel.db")
    database.create()
    registry = Registry(database, StorageMap(base=folder), "lake/models")
    load, seconds = Load(), []

    def register(slope: float) -> tuple[int, bytes, Path]:
        data = model_bytes(slope)
        model = registry.register(MODEL, "p", str(slope), data, CARD, {}, AS_OF)
        load.expected[str(model.version)] = skops.io.loads(data).predict(MATRIX)
        return model.version, data, Path(registry.storage.resolve(f"{registry.root}/{model.uri}").uri)

    champion, first, _ = register(1.0)
    registry.promote(MODEL, champion, None, "test", AS_OF)
    names = list(forgeries(first, first))
    with (
        ModelServer(registry, "127.0.0.1:0", poll_seconds=0.02) as server,
        InferenceServerClient(server.address) as client,
        asking(server.address, load),
    ):
        for number in range(rounds * len(names)):
            version, data, file = register(1.0 + (number + 1) / 100)
            file.write_bytes(forgeries(data, first)[names[number % len(names)]])
            registry.promote(MODEL, version, champion, "test", AS_OF)
            with pytest.raises(InferenceServerException) as refused:
                client.load_model(MODEL)
            assert refused.value.status() == "StatusCode.FAILED_PRECONDITION"
            assert f"{MODEL} version {version}" in refused.value.message()
            assert file.name in refused.value.message()
            load.wait_for(str(champion), rows=10 * len(MATRIX))
            file.write_bytes(data)
            start = time.monotonic()
            client.load_model(MODEL)
            load.wait_for(str(version))
            seconds.append(time.monotonic() - start)
            champion = version
    assert not list(folder.rglob("*pwned*"))
    assert load.unanswered == load.wrong == 0
    return Outcome(
        fault="model file changed, swapped or forged",
        stack="model server",
        injected=len(seconds),
        rows_in=load.rows,
        lost=load.unanswered,
        twice=load.wrong,
        recovery_seconds=max(seconds),
    )


def test_forged_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record) -> None:
    monkeypatch.chdir(tmp_path)
    record(forge(SLICE, tmp_path))


@pytest.mark.chaos
def test_forged_models_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record) -> None:
    monkeypatch.chdir(tmp_path)
    record(forge(WHOLE, tmp_path))
