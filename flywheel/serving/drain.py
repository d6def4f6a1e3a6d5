"""Lets a server stop without a request lost: what is under way is answered, what comes then is turned away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

# How long clients that ask again at once are told to go elsewhere, before nobody answers.
_LINGER_SECONDS = 0.2


class Drain(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Counts the requests under way; once closed, new ones get UNAVAILABLE, which clients try again.

    gRPC's own stop leaves a request that arrives at that moment unanswered until the grace is over, then cancels it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way = 0
        self._closed = False

    def close(self, seconds: float) -> None:
        """Turn new requests away, and wait until those under way are answered, or for ``seconds``."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._under_way, seconds)
        time.sleep(_LINGER_SECONDS)

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Wrap the method that answers a call; every call of the protocol has one request and one answer."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            with self._counted(context):
                return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)

    @contextmanager
    def _counted(self, context: grpc.ServicerContext) -> Iterator[None]:
        with self._changed:
            is_open = not self._closed
            self._under_way += is_open
        if not is_open:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
