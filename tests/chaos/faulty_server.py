# ruff: noqa: N802  # the methods have the protocol's names
"""A server before the model server, which answers as that does until it is told to be in trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, Literal

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)

from flywheel.registry.store import Registry
from flywheel.serving.server import ModelServer

Trouble = Literal["hang", "slow", "shape", "nan", "absent", "torn", "error", "half"]
_SLOW_SECONDS = 0.1


class FaultyServer(GRPCInferenceServiceServicer):
    """Passes requests on, and spoils answers.

    Attributes
    ----------
    trouble
        What happens to requests, None: nothing. ``slow`` answers come just in time; ``hang`` waits until the caller has
        given up; ``half`` is an error for every second request.
    of_model
        Only requests for this model are spoilt; None: all.
    injected
        Answers that were spoilt, or delayed.
    spans
        When each request came, and when it was answered or its caller gave up.
    """

    def __init__(self, behind: grpc.Channel) -> None:
        self._behind = GRPCInferenceServiceStub(behind)
        self.trouble: Trouble | None = None
        self.of_model: str | None = None
        self.injected = 0
        self.answered = 0
        self.spans: list[tuple[float, float]] = []
        self.address = "127.0.0.1:0"
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: grpc.Server | None = None
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._stopping.clear()
        self._pool = ThreadPoolExecutor(64)
        self._server = grpc.server(self._pool, options=[("grpc.so_reuseport", 0)])
        add_GRPCInferenceServiceServicer_to_server(self, self._server)
        host = self.address.rpartition(":")[0]
        self.address = f"{host}:{self._server.add_insecure_port(self.address)}"
        self._server.start()

    def stop(self) -> None:
        """Be gone, as a process that was killed is: with no word to those who wait."""
        assert self._server is not None
        assert self._pool is not None
        self._stopping.set()
        self._server.stop(None).wait()
        self._pool.shutdown()

    def ServerMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._behind.ServerMetadata(request)

    def ModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return self._behind.ModelMetadata(request)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._lock:
            self.answered += 1
            trouble = self._trouble_of(request)
            self.injected += trouble is not None
        begin, left = time.monotonic(), threading.Event()
        given_up = begin + (context.time_remaining() or 3600.0)
        if not context.add_callback(left.set):
            left.set()
        try:
            if trouble in ("error", "half"):
                context.abort(grpc.StatusCode.INTERNAL, "out of memory")
            if trouble == "slow":
                left.wait(_SLOW_SECONDS)
            if trouble == "hang":
                while not (left.wait(0.02) or self._stopping.is_set()):
                    pass
            return _spoilt(self._behind.ModelInfer(request), trouble)
        finally:
            with self._lock:
                self.spans.append((begin, min(given_up, time.monotonic())))

    def most_at_once(self) -> int:
        """The most requests there were at once in ``spans``."""
        with self._lock:
            # At the same moment one that ends goes before one that begins.
            changes = sorted(change for begin, end in self.spans for change in ((begin, 1), (end, -1)))
        return max(accumulate(step for _, step in changes), default=0)

    def _trouble_of(self, request: Any) -> Trouble | None:
        if self.trouble is None or self.of_model not in (None, request.model_name):
            return None
        return None if self.trouble == "half" and self.answered % 2 else self.trouble


def _spoilt(answer: Any, trouble: Trouble | None) -> Any:
    tensor = answer.outputs[0]
    content = np.frombuffer(answer.raw_output_contents[0], "<f8").copy()
    if trouble == "shape":
        tensor.shape[0] -= 1
        answer.raw_output_contents[0] = content[: int(np.prod(tensor.shape))].tobytes()
    elif trouble == "nan":
        content[0] = np.nan
        answer.raw_output_contents[0] = content.tobytes()
    elif trouble == "torn":
        answer.raw_output_contents[0] = answer.raw_output_contents[0][:-3]
    elif trouble == "absent":
        return pb.ModelInferResponse(model_name=answer.model_name, model_version=answer.model_version)
    return answer


@contextmanager
def faulty_server(registry: Registry) -> Iterator[FaultyServer]:
    """Run such a server on a free port, before a model server of its own."""
    with (
        ModelServer(registry, "127.0.0.1:0", poll_seconds=60) as real,
        grpc.insecure_channel(real.address) as behind,
    ):
        server = FaultyServer(behind)
        server.start()
        try:
            yield server
        finally:
            server.stop()
