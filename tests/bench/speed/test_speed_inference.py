"""A slice of line 4: what both forms of a model and the way through the server cost, in one process's CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import speed_inference_servers as servers

from flywheel.inference.expected import ExpectedTensor
from flywheel.serving.scorers import EstimatorScorer, load_served
from flywheel.serving.server import ModelServer


def seconds(call: Callable[[], object], runs: int = 3) -> float:
    """The least processor time of a call; what runs beside the tests only adds to it."""
    call()
    found = []
    for _ in range(runs):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found)


def test_both_forms_are_faster_and_the_server_costs_little(tmp_path: Path) -> None:
    servers.make_registry(tmp_path)
    registry = servers.open_registry(tmp_path)
    estimator = EstimatorScorer(registry.load(servers.MODEL, servers.AS_IT_IS).model, "classification")
    as_it_is = load_served(registry, servers.MODEL, servers.AS_IT_IS).scorer
    onnx = load_served(registry, servers.MODEL, servers.WITH_FORM).scorer
    for rows, requests in ((64, 30), (1_000, 10)):
        matrix = servers.matrix_of(rows)
        np.testing.assert_array_equal(onnx.score(matrix)["probabilities"], estimator.score(matrix)["probabilities"])
        slow = seconds(lambda: [estimator.score(matrix) for _ in range(requests)])  # noqa: B023
        fast = seconds(lambda: [onnx.score(matrix) for _ in range(requests)])  # noqa: B023
        less = seconds(lambda: [as_it_is.score(matrix) for _ in range(requests)])  # noqa: B023
        assert fast < 0.8 * slow
        assert less < (0.8 if rows == 64 else 1.1) * slow
    # Client and server together; of 1,000 rows, the last.
    many = np.tile(matrix, (requests, 1))
    with (
        ModelServer(registry, "127.0.0.1:0", poll_seconds=60) as server,
        servers.connect(server.address, rows) as client,
    ):
        expected = [ExpectedTensor("probabilities", 2)]
        through = seconds(lambda: client.infer(servers.MODEL, str(servers.AS_IT_IS), many, expected))
    assert through < 2.0 * slow
