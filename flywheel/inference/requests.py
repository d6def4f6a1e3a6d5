"""Keeps a fixed number of requests in flight, asking a gate before each and telling it how each went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from flywheel.inference.breaker import Gate
from flywheel.inference.tensors import Array


@dataclass(frozen=True)
class Chunk:
    """Rows [start, stop) of a matrix: what one request carries."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class ChunkResult:
    """The answer for rows [start, stop): tensors by name, or why there are none."""

    start: int
    stop: int
    outputs: Mapping[str, Array] | None
    error: str | None


@dataclass(frozen=True)
class Reply:
    """What came back for a chunk: the server's response, or an error; ``failure`` is the call's own."""

    chunk: Chunk
    response: Any = None
    error: str | None = None
    failure: Exception | None = None


class InFlight:
    """One run over the chunks of a matrix.

    Parameters
    ----------
    send
        Starts a request; its reply is handed to the given function, from any thread, before or after ``send`` returns.
    judge
        Makes the result of a reply; what is unusable becomes an error.
    limit
        Requests in flight at once.
    """

    def __init__(
        self,
        send: Callable[[Chunk, Callable[[Reply], None]], None],
        judge: Callable[[Reply], ChunkResult],
        gate: Gate,
        limit: int,
    ) -> None:
        self._send = send
        self._judge = judge
        self._gate = gate
        self._limit = limit
        self._pending = 0
        self._replies: SimpleQueue[Reply] = SimpleQueue()
        self._results: list[ChunkResult] = []

    def run(self, chunks: Iterable[Chunk]) -> list[ChunkResult]:
        """Send all chunks and return their results in order."""
        for chunk in chunks:
            while self._pending >= self._limit:
                self._settle()
            if self._is_admitted():
                self._pending += 1
                self._send(chunk, self._replies.put)
            else:
                self._results.append(ChunkResult(chunk.start, chunk.stop, None, self._gate.refusal()))
        while self._pending:
            self._settle()
        return sorted(self._results, key=lambda result: result.start)

    def _is_admitted(self) -> bool:
        # A half-open circuit lets the next request through once its probe has come back well.
        while not self._gate.allow():
            if not self._pending:
                return False
            self._settle()
        return True

    def _settle(self) -> None:
        result = self._judge(self._replies.get())
        self._pending -= 1
        self._results.append(result)
        if result.error is None:
            self._gate.success()
        else:
            self._gate.failure(result.error)
