"""The model of line 4 and the servers that it is asked through: ours, with and without its ONNX form, and MLServer."""

from __future__ import annotations

import atexit
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from peer_environments import PeerEnvironment

from flywheel.conversion.convert import convert
from flywheel.errors import InferenceError
from flywheel.inference.client import ModelClient
from flywheel.lake.storage import StorageMap
from flywheel.manifest.inference import InferenceConfig
from flywheel.metadata.database import Database
from flywheel.records.encode import Encoding, Input
from flywheel.registry.card import ModelCard
from flywheel.registry.store import Registry
from flywheel.serving.server import serve

MODEL = "speed"
# Versions of our registry: the model as it is, and the same with its ONNX form.
AS_IT_IS, WITH_FORM = 1, 2
SEED, WIDTH = 4, 20
MLSERVER = PeerEnvironment(
    "mlserver", ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "scikit-learn==1.9.1", "numpy==2.4.6")
)

# The same text fits it in MLServer's environment.
FIT = f"""
import numpy
from sklearn.ensemble import HistGradientBoostingClassifier
random = numpy.random.default_rng({SEED})
matrix = random.normal(size=(20_000, {WIDTH}))
matrix[random.random(matrix.shape) < 0.02] = numpy.nan
late = numpy.nan_to_num(matrix[:, :4]).sum(axis=1) + random.normal(size=len(matrix)) > 0
model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0).fit(matrix, late)
"""
SERVE = "import sys, speed_inference_servers as servers; servers.serve_folder(sys.argv[1])"


def matrix_of(rows: int) -> np.ndarray:
    """Rows to ask about; a value in fifty is missing."""
    drawn = np.random.default_rng(SEED + 1)
    matrix = drawn.normal(size=(rows, WIDTH))
    matrix[drawn.random(matrix.shape) < 0.02] = np.nan
    return matrix


def make_registry(folder: Path) -> None:
    """Fit the model and register both versions; anew each time, as the conversion is part of what is measured."""
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("flywheel.db*"):
        old.unlink()
    made: dict[str, np.ndarray] = {}
    exec(FIT, made)
    form = convert(made["model"], "classification", made["matrix"])
    assert form.file is not None, form.refusal
    as_of = datetime(2026, 1, 1, tzinfo=UTC)
    card = ModelCard(
        task="classification",
        algorithm="hist_gradient_boosting",
        encoding=Encoding(inputs=[Input(feature=f"f{number}", kind="number") for number in range(WIDTH)]),
        classes=["False", "True"],
        target="True",
        rows=len(made["matrix"]),
        as_of=as_of,
        baseline_id="none",
        onnx=form.file,
    )
    data = skops.io.dumps(made["model"])
    registry = open_registry(folder)
    registry.database.create()
    registry.register(MODEL, "p", "as it is", data, card, {}, as_of)
    registry.register(MODEL, "p", "with form", data, card, {}, as_of, form.data)
    registry.promote(MODEL, WITH_FORM, None, "", as_of)


def open_registry(folder: Path) -> Registry:
    """The registry that ``make_registry`` made there."""
    return Registry(Database(f"sqlite:///{folder}/flywheel.db"), StorageMap(base=folder), "models")


def connect(address: str, rows: int, in_flight: int = 1) -> ModelClient:
    """A client that sends so many rows in a request."""
    config = InferenceConfig(
        model_endpoint=address,
        model_id=MODEL,
        input_features=["f0"],
        batch_size=rows,
        max_in_flight=in_flight,
        timeout_ms=60_000,
    )
    return ModelClient(address, config)


def ours(folder: Path) -> str:
    """Start our model server on the registry in ``folder``; return its address."""
    ready = folder / f"address-{os.getpid()}"
    ready.unlink(missing_ok=True)
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    _start([sys.executable, "-c", SERVE, str(ready)], folder, {"PYTHONPATH": here})
    _wait(ready.exists)
    return ready.read_text()


def serve_folder(ready: str) -> None:
    """What that process does."""
    serve(open_registry(Path(ready).parent), "127.0.0.1:0", Path(ready))


def mlserver(folder: Path) -> str:
    """Start MLServer, in its own environment, with the model in ``folder``; return its address."""
    binaries = Path(MLSERVER.python()).parent
    if not (folder / "model.joblib").exists():
        folder.mkdir(parents=True, exist_ok=True)
        dump = "import joblib, os; joblib.dump(model, 'part'); os.rename('part', 'model.joblib')"
        subprocess.run([binaries / "python", "-c", FIT + dump], cwd=folder, check=True)
    implementation = {"implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "model.joblib"}}
    (folder / "model-settings.json").write_text(json.dumps({"name": MODEL} | implementation))
    names = ("grpc_port", "http_port", "metrics_port")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    # In the process that answers, as ours does: its workers are other processes that a tensor is sent to.
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False}
    (folder / "settings.json").write_text(json.dumps(settings | ports))
    _start([str(binaries / "mlserver"), "start", "."], folder, {})
    address = f"127.0.0.1:{ports['grpc_port']}"
    with connect(address, 1) as client:
        _wait(lambda: _is_there(client))
    return address


def _start(command: Sequence[str], folder: Path, variables: dict[str, str]) -> None:
    environ = {**os.environ, **variables, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
    atexit.register(process.wait)
    atexit.register(process.terminate)


def _is_there(client: ModelClient) -> bool:
    try:
        client.info(MODEL)
    except InferenceError:
        return False
    return True


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "the server did not start; its log is beside the model"
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    # MLServer takes no gRPC port of the ephemeral range.
    found: list[int] = []
    while len(found) < count:
        port = random.randint(20_000, 32_000)
        with socket.socket() as listener:
            if port not in found and listener.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found
