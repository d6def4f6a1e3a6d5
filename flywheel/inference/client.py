"""A client of any Open Inference Protocol v2 server over gRPC: raw tensors, many requests in flight, deadlines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from flywheel.errors import InferenceError
from flywheel.inference.access import AccessWatch, status_of
from flywheel.inference.breaker import Gate, OpenGate
from flywheel.inference.channel import open_channel
from flywheel.inference.expected import ExpectedTensor, check_outputs
from flywheel.inference.model_info import ModelInfo, TensorInfo
from flywheel.inference.requests import Chunk, ChunkResult, InFlight, Reply
from flywheel.inference.tensors import NUMPY_TYPES, read_tensors
from flywheel.manifest.documents import ModelServerSpec
from flywheel.manifest.inference import InferenceConfig

_MIN_METADATA_SECONDS = 2.0
# There is no such version, or its file was refused.
_NOT_SERVED = ("NOT_FOUND", "FAILED_PRECONDITION")


class ModelClient:
    """A connection to a model server. Connecting, and reconnecting, happens by itself.

    Parameters
    ----------
    endpoint
        ``host:port``.
    config
        Rows in a request, requests in flight, the deadline of each and gRPC's retries of an unavailable server.
    server
        Its TLS and token; None: it asks nothing, in the clear.
    """

    def __init__(self, endpoint: str, config: InferenceConfig, server: ModelServerSpec | None = None) -> None:
        self.endpoint = endpoint
        self.config = config
        self._timeout = config.timeout_ms / 1000
        self._client = open_channel(endpoint, config, server)
        # gRPC's own way to have several calls under way starts a thread for each that is the only one.
        self._asking = ThreadPoolExecutor(config.max_in_flight, "flywheel-asking")
        self._access = AccessWatch(endpoint, server)
        self._has_access = False
        self._inputs: dict[tuple[str, str], TensorInfo] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def longest_seconds(self) -> float:
        """How long a request can take, with the question about the model's input before the first one."""
        return max(self._timeout, _MIN_METADATA_SECONDS) + self._timeout

    def close(self) -> None:
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def require_access(self) -> None:
        """Raise AccessError if the server refuses us or can't be trusted; one that is away is not looked at again."""
        if self._has_access:
            return
        try:
            self._client.get_server_metadata(client_timeout=self._timeout)
        except InferenceServerException as error:
            self._access.check(error)
        self._has_access = True

    def info(self, model_id: str, version: str = "") -> ModelInfo:
        """Ask what a model takes and answers; InferenceError when there is no (such) server or model.

        Raises
        ------
        AccessError
            The server refuses us, or can't be trusted.
        """
        timeout = max(self._timeout, _MIN_METADATA_SECONDS)
        try:
            return ModelInfo.of(self._client.get_model_metadata(model_id, version, client_timeout=timeout))
        except InferenceServerException as error:
            self._access.check(error)
            why = self._access.described(error)
            raise InferenceError(
                f"the model server at {self.endpoint} did not describe model {model_id!r}: {why}",
                state="nothing was sent to it",
                next_step="flywheel health",
            ) from self._access.discreet(error)

    def serves(self, model_id: str, version: str) -> bool:
        """Whether the server has this version; InferenceError when it does not say."""
        try:
            self.info(model_id, version)
        except InferenceError as error:
            if isinstance(error.__cause__, InferenceServerException) and status_of(error.__cause__) in _NOT_SERVED:
                return False
            raise
        return True

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

        Raises
        ------
        AccessError
            The server refuses us, or can't be trusted; the gate is not told, as no fallback is for that.
        """
        size, rows = self.config.batch_size, matrix.shape[0]
        chunks = [Chunk(start, min(start + size, rows)) for start in range(0, rows, size)]
        wanted = [InferRequestedOutput(tensor.name) for tensor in expected]
        # One at a time is asked here: handing it over and back takes as long as half of what gRPC does itself.
        start = _now if min(len(chunks), self.config.max_in_flight) == 1 else self._asking.submit

        def send(chunk: Chunk, reply: Callable[[Reply], None]) -> None:
            try:
                tensor = _to_input(matrix[chunk.start : chunk.stop], self._input(model_id, version))
            except InferenceError as error:
                reply(Reply(chunk, error=error.what))
            else:
                start(lambda: reply(self._ask(model_id, version, chunk, tensor, wanted)))

        def judge(reply: Reply) -> ChunkResult:
            if reply.failure is not None:
                self._access.check(reply.failure)
            return _judge(reply, expected)

        return InFlight(send, judge, gate or OpenGate(), self.config.max_in_flight).run(chunks)

    def _ask(
        self, model_id: str, version: str, chunk: Chunk, tensor: InferInput, wanted: list[InferRequestedOutput]
    ) -> Reply:
        try:
            result = self._client.infer(model_id, [tensor], version, outputs=wanted, client_timeout=self._timeout)
        except InferenceServerException as error:
            return Reply(chunk, error=self._access.described(error), failure=error)
        except Exception as error:  # whoever waits for the reply would wait for ever
            return Reply(chunk, error=f"{type(error).__name__}: {error}")
        return Reply(chunk, result.get_response())

    def _input(self, model_id: str, version: str) -> TensorInfo:
        key = (model_id, version)
        if key not in self._inputs:
            self._inputs[key] = self.info(model_id, version).input
        return self._inputs[key]


def _now(call: Callable[[], None]) -> None:
    call()


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
