"""The server as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

SERVE = """
import sys
from pathlib import Path
from flywheel.lake.storage import StorageMap
from flywheel.metadata.database import Database
from flywheel.registry.store import Registry
from flywheel.serving.server import serve
folder = Path(sys.argv[1])
registry = Registry(Database(f"sqlite:///{folder}/flywheel.db"), StorageMap(base=folder), "lake/models")
serve(registry, "127.0.0.1:0", ready_file=folder / "address")
"""


def test_a_stopped_server_answers_what_it_has_taken(workshop, tmp_path):
    registered, model = workshop.flights("first")
    workshop.promote(registered)
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)])
    try:
        address = _wait_for(tmp_path / "address")
        answers: list[np.ndarray] = []
        failed: list[InferenceServerException] = []

        def ask() -> None:
            tensor = InferInput("features", workshop.matrix.shape, "FP64").set_data_from_numpy(workshop.matrix)
            with InferenceServerClient(address) as client:
                while not failed:
                    try:
                        answers.append(client.infer("flights", [tensor]).as_numpy("probabilities"))
                    except InferenceServerException as error:
                        failed.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        while len(answers) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(8) == 0
        asking.join()
        np.testing.assert_array_equal(answers[-1], model.predict_proba(workshop.matrix))
        assert [error.status() for error in failed] == ["StatusCode.UNAVAILABLE"]
    finally:
        process.kill()
        process.wait()


def _wait_for(file) -> str:
    end = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.05)
    return file.read_text()
