"""The model server: a gRPC server, and a thread that looks for new champions."""

from __future__ import annotations

import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from tritonclient.grpc.service_pb2_grpc import add_GRPCInferenceServiceServicer_to_server

from flywheel.errors import FlywheelError
from flywheel.registry.store import Registry
from flywheel.serving.drain import Drain
from flywheel.serving.memory import keep_freed_memory
from flywheel.serving.models import Models
from flywheel.serving.onnx_runtime import missing_package
from flywheel.serving.servicer import InferenceServicer
from flywheel.serving.settings import OPEN, ServerAccess
from flywheel.serving.tls import server_credentials
from flywheel.serving.tokens import Refusals, TokenGuard, token_source

_log = logging.getLogger("flywheel.serving")
_MAX_REQUEST_BYTES = 512 * 2**20


class ModelServer:
    """Serves the registry's models; a context manager.

    Parameters
    ----------
    address
        ``host:port``; port 0 takes a free one, see ``address`` after ``start``.
    poll_seconds
        How often promotions are looked for.
    workers
        Requests answered at once. Default: the machine's cores.
    access
        TLS and tokens. Default: neither.
    """

    def __init__(
        self,
        registry: Registry,
        address: str,
        *,
        poll_seconds: float = 1.0,
        workers: int | None = None,
        access: ServerAccess = OPEN,
    ) -> None:
        self.address = address
        self.models = Models(registry)
        self.refusals = Refusals()
        self._access = access
        self._access.check(address)
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="flywheel-champions", daemon=True)
        # Two more than score at once, so that a health check need not wait behind them.
        threads = (workers or os.cpu_count() or 1) + 2
        pool = ThreadPoolExecutor(threads, "flywheel-serving", initializer=_one_thread_a_request)
        options = [
            ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
            ("grpc.max_send_message_length", _MAX_REQUEST_BYTES),
            ("grpc.so_reuseport", 0),  # else a second server shares the port without a word
        ]
        self._drain = Drain()
        self._credentials = server_credentials(self._access)
        tokens = token_source(self._access)
        guards = [TokenGuard(tokens, self.refusals)] if tokens is not None else []
        self._server = grpc.server(pool, options=options, interceptors=[*guards, self._drain])
        add_GRPCInferenceServiceServicer_to_server(InferenceServicer(self.models, self.refusals), self._server)

    def start(self) -> str:
        """Load the champions, listen and return the address; a champion whose file is refused is left out."""
        host = self.address.rpartition(":")[0]
        try:
            port = self._listen()
        except RuntimeError as error:
            raise FlywheelError(
                f"can't listen on {self.address}; another process may do so already",
                state="nothing is served",
                next_step="stop it, or choose another port: flywheel serve-models --address HOST:PORT",
            ) from error
        self.address = f"{host}:{port}"
        self.models.refresh()
        self._server.start()
        self._poller.start()
        return self.address

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Take no new request, answer those there are, and stop."""
        self._stopping.set()
        self._drain.close(grace_seconds)
        self._server.stop(None).wait()
        self._poller.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self) -> int:
        if self._credentials is None:
            return int(self._server.add_insecure_port(self.address))
        return int(self._server.add_secure_port(self.address, self._credentials))

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            try:
                self.models.refresh()
            except Exception as error:  # whatever a database can raise, the next look may find it well again
                _log.warning("can't read the registry, serving what is loaded: %s", error)


def serve(registry: Registry, address: str, ready_file: Path | None = None, access: ServerAccess = OPEN) -> None:
    """Serve until SIGTERM or SIGINT, in the main thread.

    Parameters
    ----------
    ready_file
        Gets the address once requests are answered, for whoever started this with port 0.
    """
    _import_libraries()
    keep_freed_memory()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    with ModelServer(registry, address, access=access) as server:
        _log.info("listening on %s, %s", server.address, access.summary)
        if ready_file is not None:
            partial = ready_file.with_name(f"{ready_file.name}.tmp")
            partial.write_text(server.address)
            partial.replace(ready_file)
        stopping.wait()
        _log.info("stopping")


def _import_libraries() -> None:
    """Import what models are read and run with, so that the first request of the first model is not too slow."""
    import sklearn.ensemble  # noqa: F401

    if missing_package("onnxruntime") is None:
        import onnxruntime  # noqa: F401


def _one_thread_a_request() -> None:
    """Let a request's model use one core: requests run side by side, and small ones are slower on more."""
    from sklearn.utils import _openmp_helpers  # noqa: F401  # loads OpenMP, so that it is there to be limited
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(limits=1, user_api="openmp")
