"""A client of any Open Inference Protocol v2 server over gRPC: raw tensors, many requests in flight, deadlines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from flywheel.errors import InferenceError
from flywheel.inference.breaker import Gate, OpenGate
from flywheel.inference.expected import ExpectedTensor, check_outputs
from flywheel.inference.model_info import ModelInfo, TensorInfo
from flywheel.inference.requests import Chunk, ChunkResult, InFlight, Reply
from flywheel.inference.tensors import NUMPY_TYPES, read_tensors
from flywheel.manifest.inference import InferenceConfig

_MIN_METADATA_SECONDS = 2.0
_MAX_MESSAGE_BYTES = 2**31 - 1


class ModelClient:
    """A connection to a model server. Connecting, and reconnecting, happens by itself.

    Parameters
    ----------
    endpoint
        ``host:port``.
    config
        Rows in a request, requests in flight, the deadline of each and gRPC's retries of an unavailable server.
    """

    def __init__(self, endpoint: str, config: InferenceConfig) -> None:
        self.endpoint = endpoint
        self.config = config
        self._timeout = config.timeout_ms / 1000
        self._client = InferenceServerClient(endpoint, channel_args=_channel_options(config))
        self._inputs: dict[tuple[str, str], TensorInfo] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def info(self, model_id: str, version: str = "") -> ModelInfo:
        """Ask what a model takes and answers; InferenceError when there is no (such) server or model."""
        timeout = max(self._timeout, _MIN_METADATA_SECONDS)
        try:
            return ModelInfo.of(self._client.get_model_metadata(model_id, version, client_timeout=timeout))
        except InferenceServerException as error:
            raise InferenceError(
                f"the model server at {self.endpoint} did not describe model {model_id!r}: {_described(error)}",
                state="nothing was sent to it",
                next_step="flywheel health",
            ) from error

    def infer(
        self,
        model_id: str,
        version: str,
        matrix: npt.NDArray[np.float64],
        expected: Sequence[ExpectedTensor] = (),
        gate: Gate | None = None,
    ) -> list[ChunkResult]:
        """Send a matrix ``[rows, width]`` in chunks of ``batch_size`` and return their results in order.

        Parameters
        ----------
        version
            The model's version, or ``""`` for the one the server chooses.
        expected
            The tensors to ask for; an answer without them, of another shape or with a NaN in it is an error of its
            chunk. Default: all that the model has, with one row for each row sent.
        gate
            Asked before each request, e.g. a circuit breaker.
        """
        size, rows = self.config.batch_size, matrix.shape[0]
        chunks = [Chunk(start, min(start + size, rows)) for start in range(0, rows, size)]
        wanted = [InferRequestedOutput(tensor.name) for tensor in expected]

        def send(chunk: Chunk, reply: Callable[[Reply], None]) -> None:
            self._send(model_id, version, chunk, matrix, wanted, reply)

        def judge(reply: Reply) -> ChunkResult:
            return _judge(reply, expected)

        return InFlight(send, judge, gate or OpenGate(), self.config.max_in_flight).run(chunks)

    def _send(
        self,
        model_id: str,
        version: str,
        chunk: Chunk,
        matrix: npt.NDArray[np.float64],
        wanted: list[InferRequestedOutput],
        reply: Callable[[Reply], None],
    ) -> None:
        def done(result: Any, error: InferenceServerException | None) -> None:
            reply(Reply(chunk, error=_described(error)) if error else Reply(chunk, result.get_response()))

        try:
            tensor = _to_input(matrix[chunk.start : chunk.stop], self._input(model_id, version))
        except InferenceError as error:
            reply(Reply(chunk, error=error.what))
        else:
            self._client.async_infer(
                model_id, [tensor], done, model_version=version, outputs=wanted, client_timeout=self._timeout
            )

    def _input(self, model_id: str, version: str) -> TensorInfo:
        key = (model_id, version)
        if key not in self._inputs:
            self._inputs[key] = self.info(model_id, version).input
        return self._inputs[key]


def _to_input(rows: npt.NDArray[np.float64], tensor: TensorInfo) -> InferInput:
    sent = InferInput(tensor.name, rows.shape, tensor.datatype)
    return sent.set_data_from_numpy(rows.astype(NUMPY_TYPES[tensor.datatype], copy=False))


def _judge(reply: Reply, expected: Sequence[ExpectedTensor]) -> ChunkResult:
    start, stop = reply.chunk.start, reply.chunk.stop
    if reply.error is not None:
        return ChunkResult(start, stop, None, reply.error)
    try:
        outputs = read_tensors(reply.response.outputs, reply.response.raw_output_contents)
        return ChunkResult(start, stop, check_outputs(outputs, expected, stop - start), None)
    except ValueError as error:
        return ChunkResult(start, stop, None, f"unusable answer: {error}")


def _described(error: InferenceServerException) -> str:
    status = (error.status() or "").removeprefix("StatusCode.")
    return f"{status}: {error.message()}" if status else str(error.message())


def _channel_options(config: InferenceConfig) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        # A retry is worth nothing while the channel still waits to reconnect, by default for a second.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.enable_retries", int(config.max_retries > 0)),
    ]
    if config.max_retries > 0:
        retry_policy = {
            "maxAttempts": config.max_retries + 1,
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        method = {"name": [{"service": "inference.GRPCInferenceService"}], "retryPolicy": retry_policy}
        options.append(("grpc.service_config", json.dumps({"methodConfig": [method]})))
    return options
