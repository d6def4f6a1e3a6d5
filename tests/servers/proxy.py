"""A TCP proxy of the tests' own, which does to connections what networks do: refuse, cut, delay, lose the answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_CHUNK = 65_536


@dataclass
class Faults:
    """What goes wrong, now; tests change it while connections are open.

    ``refuse`` ends new connections at once, ``cut`` those that are open at their next bytes, ``delay`` (seconds) holds
    every piece of a request back. Of the requests whose first line begins with one of ``lose``, the answer to the first
    of each is lost: the server has done it all, and the connection ends without a word.
    """

    refuse: bool = False
    cut: bool = False
    delay: float = 0.0
    lose: tuple[str, ...] = ()
    lost: list[str] = field(default_factory=list)
    refused: int = 0

    def loses(self, request: bytes) -> bool:
        """Whether the answer to this request is lost."""
        line = request.split(b"\r\n", 1)[0].decode(errors="replace")
        if not line.startswith(self.lose) or line in self.lost:
            return False
        self.lost.append(line)
        return True


@contextmanager
def proxy(port: int) -> Iterator[tuple[int, Faults]]:
    """Forward a port of one's own to ``port`` of this machine; yields that port and the faults."""
    faults = Faults()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, port, faults), daemon=True).start()
        try:
            yield listener.getsockname()[1], faults
        finally:
            faults.refuse = faults.cut = True
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, port: int, faults: Faults) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        if faults.refuse:
            faults.refused += 1
            client.close()
            continue
        _Connection(client, socket.create_connection(("127.0.0.1", port)), faults).start()


class _Connection:
    """A connection of a client and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket, faults: Faults) -> None:
        self._client, self._server, self._faults = client, server, faults
        self._deaf = False
        self._ends = threading.Barrier(2, action=self._close)

    def start(self) -> None:
        for pump in (self._requests, self._answers):
            threading.Thread(target=self._run, args=(pump,), daemon=True).start()

    def _run(self, pump: Callable[[], None]) -> None:
        with suppress(OSError):
            pump()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.wait()

    def _requests(self) -> None:
        while (data := self._client.recv(_CHUNK)) and not self._faults.cut:
            time.sleep(self._faults.delay)
            if self._faults.loses(data):
                self._deaf = True
            self._server.sendall(data)

    def _answers(self) -> None:
        while (data := self._server.recv(_CHUNK)) and not self._faults.cut:
            if self._deaf and not data.startswith(b"HTTP/1.1 100"):
                return
            self._client.sendall(data)

    def _close(self) -> None:
        self._client.close()
        self._server.close()
