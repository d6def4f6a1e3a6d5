"""The pipeline's client against another server of the protocol: MLServer with its scikit-learn runtime."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flywheel.errors import InferenceError
from flywheel.inference.breaker import OpenGate
from flywheel.inference.client import ModelClient
from flywheel.inference.compatible import check_model, encoding_for
from flywheel.inference.predict import Target, predict
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.encode import encode

pytestmark = pytest.mark.slow

TRAIN = """
import joblib, numpy
from sklearn.ensemble import HistGradientBoostingClassifier
matrix = numpy.random.default_rng(0).normal(size=(1000, 3))
model = HistGradientBoostingClassifier(max_iter=10).fit(matrix, matrix[:, 0] + matrix[:, 1] > 0)
joblib.dump(model, "model.joblib")
numpy.savez("truth.npz", matrix=matrix, probability=model.predict_proba(matrix)[:, 1])
"""


def free_port() -> int:
    # MLServer takes no gRPC port of the ephemeral range.
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as listener:
            if listener.connect_ex(("127.0.0.1", port)) != 0:
                return port


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """An environment of its own: MLServer holds fastapi back."""
    folder = tmp_path_factory.mktemp("mlserver")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "mlserver", "mlserver-sklearn"], check=True)
    return folder


@pytest.fixture(scope="module", params=["described", "undescribed"])
def mlserver(request, environment) -> Iterator[tuple[str, Path]]:
    """MLServer with one model; its settings describe the model's tensors, or leave them out, as they may."""
    folder = environment / request.param
    folder.mkdir()
    binaries = environment / "venv/bin"
    subprocess.run([binaries / "python", "-c", TRAIN], cwd=folder, check=True)
    described = {
        "inputs": [{"name": "flights", "datatype": "FP64", "shape": [-1, 3]}],
        "outputs": [{"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]}],
    }
    model = {
        "name": "flights",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "model.joblib"},
    }
    if request.param == "described":
        model |= described
    (folder / "model-settings.json").write_text(json.dumps(model))
    port = free_port()
    settings = {"grpc_port": port, "http_port": free_port(), "metrics_port": free_port(), "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1"} | settings))
    with (folder / "log").open("w") as log:
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [binaries / "mlserver", "start", "."], cwd=folder, env=environ, stdout=log, stderr=log
        )
        try:
            yield f"127.0.0.1:{port}", folder
        finally:
            process.terminate()
            process.wait()


def pipeline_on(address: str) -> Pipeline:
    names = ["wind", "distance", "hour"]
    features = [{"name": name, "source_field": f"$.{name}"} for name in names]
    inference = {
        "model_endpoint": address,
        "model_id": "flights",
        "input_features": names,
        "outputs": {"late": {"tensor": "predict_proba", "index": 1}},
        "batch_size": 128,
        "timeout_ms": 20_000,
    }
    stages = [
        {"id": "features", "type": "feature-extraction", "config": {"features": features}},
        {"id": "inference", "type": "ml-inference", "config": inference},
    ]
    return Pipeline.model_validate(
        {
            "apiVersion": "flywheel-ml.io/v1",
            "kind": "FlywheelPipeline",
            "metadata": {"name": "p"},
            "spec": {"source": "flights", "prediction_id": "$.id", "stages": stages},
        }
    )


def test_mlserver_answers_the_pipeline(mlserver):
    address, folder = mlserver
    pipeline = pipeline_on(address)
    truth = np.load(folder / "truth.npz")
    rows = pl.DataFrame(truth["matrix"], schema=["wind", "distance", "hour"])
    with ModelClient(address, pipeline.inference) as client:
        info = described_by(client, folder)
        check_model(info, None, pipeline)
        matrix = encode(rows, encoding_for(pipeline, None))
        scored = predict(rows, matrix, client, OpenGate(), Target("flights", None, None), pipeline)
    assert scored.failures == []
    found = scored.rows["prediction"].struct.field("late").to_numpy()
    np.testing.assert_allclose(found, truth["probability"], rtol=1e-12)


def described_by(client: ModelClient, folder: Path):
    end = time.monotonic() + 90
    while True:
        try:
            return client.info("flights")
        except InferenceError:
            assert time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.5)
