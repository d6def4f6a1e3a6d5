"""Lets those in who know a token, and counts those who don't."""

from __future__ import annotations

import hmac
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from flywheel.errors import FlywheelError
from flywheel.serving.settings import ServerAccess
from flywheel.serving.watched import Watched

_log = logging.getLogger("flywheel.serving")
_SERVICE = "/inference.GRPCInferenceService/"
# What a load balancer asks; it tells nothing of the models and changes nothing.
_OPEN_METHODS = frozenset({f"{_SERVICE}ServerLive", f"{_SERVICE}ServerReady"})
_LOG_SECONDS = 10.0
_MISSING = "the request carries no bearer token"
_WRONG = "the request's bearer token is not one that is taken here"


class Refusals:
    """How many requests were refused since the server started; a line in the log tells of them, not too often."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._told_at = -_LOG_SECONDS

    @property
    def total(self) -> int:
        return self._counts.total()

    def add(self, why: str, peer: str) -> None:
        """Count one."""
        with self._lock:
            self._counts[why] += 1
            if self._clock() < self._told_at + _LOG_SECONDS:
                return
            self._told_at = self._clock()
            counts = f"{self._counts[_MISSING]} without a token, {self._counts[_WRONG]} with a wrong one"
        _log.warning("refused requests since the start: %s; the last from %s", counts, peer)


class TokenGuard(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Answers UNAUTHENTICATED to every request without one of the tokens, except whether the server is alive."""

    def __init__(self, tokens: Callable[[], frozenset[bytes]], refusals: Refusals) -> None:
        self._tokens = tokens
        self._refusals = refusals

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Let the call through, or put a refusal in its place, which does not wait for the request's tensors."""
        if details.method in _OPEN_METHODS:
            return continuation(details)
        why = self._why_not(details.invocation_metadata)
        if why is None:
            return continuation(details)

        def refuse(_requests: Any, context: grpc.ServicerContext) -> Any:
            self._refusals.add(why, context.peer())
            context.abort(grpc.StatusCode.UNAUTHENTICATED, why)

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _why_not(self, metadata: Any) -> str | None:
        given = [value for key, value in metadata if key == "authorization"]
        scheme, _, token = (given[0] if len(given) == 1 and isinstance(given[0], str) else "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _MISSING
        offered = token.strip().encode("utf-8", "surrogatepass")
        # All of them are compared, so that the time it takes tells nothing.
        taken = [hmac.compare_digest(offered, known) for known in self._tokens()]
        return None if any(taken) else _WRONG


def token_source(access: ServerAccess) -> Callable[[], frozenset[bytes]] | None:
    """Return what gives the tokens that are taken now, or None where none is asked for.

    Raises
    ------
    FlywheelError
        The file of tokens can't be read, or has none.
    """
    single, file = access.model_server_token, access.model_server_token_file
    own = frozenset() if single is None else frozenset({single.get_secret_value().encode()})
    if file is not None:
        watched = Watched([file], lambda: own | _tokens_in(file))
        return watched.value
    return (lambda: own) if own else None


def _tokens_in(file: Path) -> frozenset[bytes]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise FlywheelError(
            f"can't read the file of tokens {file}: {error.strerror}",
            state="nothing is served",
            next_step="give a file with a token in each line",
        ) from error
    tokens = frozenset(line.strip() for line in lines if line.strip())
    if not tokens:
        raise FlywheelError(
            f"the file of tokens {file} has none", state="nothing is served", next_step="put a token in each line"
        )
    return tokens
