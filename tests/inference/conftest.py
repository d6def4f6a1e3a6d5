from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import polars as pl
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from flywheel.manifest.pipeline import Pipeline
from flywheel.metadata.database import Database

Answer = Callable[[np.ndarray, grpc.ServicerContext], pb.ModelInferResponse]


class FakeServer(GRPCInferenceServiceServicer):
    """Any OIP server: answers with what ``answer`` makes of the matrix, and notes what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = probabilities
        self.metadata = pb.ModelMetadataResponse(name="flights")
        self.metadata.inputs.add(name="x", datatype="FP64", shape=[-1, 2])
        self.requests: list[Any] = []
        self.most_in_flight = 0
        self.address = ""
        self._in_flight = 0
        self._lock = threading.Lock()

    def ModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return self.metadata

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._lock:
            self.requests.append(request)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            dtype = {"FP64": "<f8", "FP32": "<f4"}[request.inputs[0].datatype]
            matrix = np.frombuffer(request.raw_input_contents[0], dtype).reshape(request.inputs[0].shape)
            return self.answer(matrix, context)
        finally:
            with self._lock:
                self._in_flight -= 1

    def chunks(self) -> list[int]:
        return [request.inputs[0].shape[0] for request in self.requests]


def tensor_response(**tensors: np.ndarray) -> pb.ModelInferResponse:
    response = pb.ModelInferResponse()
    for name, array in tensors.items():
        datatype = {"f8": "FP64", "f4": "FP32", "b1": "BOOL"}[array.dtype.str[1:]]
        response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        response.raw_output_contents.append(array.tobytes())
    return response


def probabilities(matrix: np.ndarray, context: grpc.ServicerContext) -> pb.ModelInferResponse:
    """P(late) is the first feature."""
    return tensor_response(probabilities=np.column_stack([matrix[:, 0], 1 - matrix[:, 0]]).astype(np.float64))


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    servicer = FakeServer()
    with ThreadPoolExecutor(16) as pool:
        server = grpc.server(pool)
        add_GRPCInferenceServiceServicer_to_server(servicer, server)
        servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        yield servicer
        server.stop(None).wait()


@dataclass(frozen=True)
class Tensors:
    """Builders of a fake server's answers."""

    response: Callable[..., pb.ModelInferResponse] = tensor_response
    probabilities: Answer = probabilities


@pytest.fixture
def tensors() -> Tensors:
    return Tensors()


@pytest.fixture
def database(tmp_path) -> Database:
    created = Database(f"sqlite:///{tmp_path}/flywheel.db")
    created.create()
    return created


@pytest.fixture
def pipeline_of() -> Callable[..., Pipeline]:
    """Make a pipeline with two features from what its ml-inference stage and its training say."""

    def make(training: dict[str, Any] | None = None, **inference: Any) -> Pipeline:
        config = {"model_endpoint": "models:50051", "model_id": "flights", "input_features": ["wind", "distance"]}
        features = [{"name": name, "source_field": f"$.{name}"} for name in ("wind", "distance")]
        stages = [
            {"id": "features", "type": "feature-extraction", "config": {"features": features}},
            {"id": "inference", "type": "ml-inference", "config": config | inference},
        ]
        spec = {"source": "flights", "prediction_id": "$.id", "stages": stages, "training": training}
        document = {"apiVersion": "flywheel-ml.io/v1", "kind": "FlywheelPipeline", "metadata": {"name": "p"}}
        return Pipeline.model_validate(document | {"spec": spec})

    return make


@pytest.fixture
def frame_of() -> Callable[[np.ndarray], pl.DataFrame]:
    """Make prepared rows of a matrix, a minute apart."""

    def make(matrix: np.ndarray) -> pl.DataFrame:
        count = len(matrix)
        minutes = pl.int_range(count, dtype=pl.Int64, eager=True) * 60_000_000
        return pl.DataFrame(
            {
                "prediction_id": [f"f-{number}" for number in range(count)],
                "event_time": minutes.cast(pl.Datetime("us", "UTC")),
                "entity": [f"tail-{number % 3}" for number in range(count)],
                "wind": matrix[:, 0],
                "distance": matrix[:, 1],
            }
        )

    return make
