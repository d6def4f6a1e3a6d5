"""A TCP proxy of the tests' own, which does to connections what networks and servers do: refuse, cut, delay, fall
silent, answer that it is busy, take half of an object, lose the answer."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_CHUNK = 65_536
_BEGINNING = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_QUERY = re.compile(rb"Q....", re.DOTALL)  # of PostgreSQL's protocol; the statement follows


@dataclass
class Faults:
    """What goes wrong, now; tests change it while connections are open.

    ``refuse`` ends new connections at once, ``cut`` those that are open at their next bytes, ``delay`` (seconds) holds
    every piece of a request back. While it is ``silent`` connections stay open and no byte passes either way; what was
    on its way arrives late. The next ``denials`` requests get the answer ``denied`` (HTTP status and S3's code for it)
    from the proxy, once ``spare`` more have passed.

    Of the requests whose first line begins with one of ``lose``, the answer to the first of each is lost: the server
    has done it all, and the connection ends without a word. Of those that begin with one of ``tear``, the server gets
    half. ``again`` makes both happen to the next such request, also if it was one before.

    ``happened`` counts what really went wrong, ``lost`` are the first lines.
    """

    refuse: bool = False
    cut: bool = False
    silent: bool = False
    delay: float = 0.0
    denied: tuple[int, str] = (503, "SlowDown")
    denials: int = 0
    spare: int = 0
    lose: tuple[str, ...] = ()
    tear: tuple[str, ...] = ()
    lost: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    _hit: set[str] = field(default_factory=set)

    def again(self) -> None:
        self._hit.clear()

    def loses(self, request: bytes) -> bool:
        """Whether the answer to this request is lost."""
        if not self._strikes(request, self.lose, "lost"):
            return False
        self.lost.append(_first_line(request))
        return True

    def tears(self, request: bytes) -> bool:
        """Whether the server gets half of this request."""
        return self._strikes(request, self.tear, "torn")

    def denies(self, request: bytes) -> bytes | None:
        """Return the answer that the proxy gives to this request, if it does."""
        if self.denials <= 0 or not _BEGINNING.match(request):
            return None
        if self.spare > 0:
            self.spare -= 1
            return None
        self.denials -= 1
        self.happened["denied"] += 1
        status, code = self.denied
        body = f"<Error><Code>{code}</Code><Message>by the proxy</Message></Error>".encode()
        head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"Connection: close\r\n\r\n" + body

    def hold(self) -> None:
        """Wait until it is no longer silent."""
        if self.silent:
            self.happened["silenced"] += 1
        while self.silent:
            time.sleep(0.02)

    def _strikes(self, request: bytes, beginnings: tuple[str, ...], what: str) -> bool:
        line = _first_line(request)
        if not beginnings or not line.startswith(beginnings) or line in self._hit:
            return False
        self._hit.add(line)
        self.happened[what] += 1
        return True


def _first_line(request: bytes) -> str:
    found = _QUERY.match(request)
    return re.split(rb"[\r\0]", request[found.end() if found else 0 :], maxsplit=1)[0].decode(errors="replace")


@contextmanager
def proxy(server: int | str) -> Iterator[tuple[int, Faults]]:
    """Forward a port of one's own to a port of this machine, or to a Unix socket; yields that port and the faults."""
    faults = Faults()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, server, faults), daemon=True).start()
        try:
            yield listener.getsockname()[1], faults
        finally:
            faults.refuse = faults.cut = True
            faults.silent = False
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: int | str, faults: Faults) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        try:
            if faults.refuse:
                faults.happened["refused"] += 1
                raise ConnectionRefusedError
            _Connection(client, _connect(server), faults).start()
        except OSError:  # refused by us, or by a server that is down
            client.close()


def _connect(server: int | str) -> socket.socket:
    if isinstance(server, int):
        return socket.create_connection(("127.0.0.1", server))
    found = socket.socket(socket.AF_UNIX)
    found.connect(server)
    return found


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
        while (data := self._client.recv(_CHUNK)) and not self._is_cut():
            self._faults.hold()
            time.sleep(self._faults.delay)
            if answer := self._faults.denies(data):
                self._whole(data)
                self._client.sendall(answer)
                return
            if self._faults.tears(data):
                whole = self._whole(data)
                self._server.sendall(whole[: -(len(whole) - whole.index(b"\r\n\r\n")) // 2])
                return
            if self._faults.loses(data):
                self._deaf = True
            self._server.sendall(data)

    def _answers(self) -> None:
        while (data := self._server.recv(_CHUNK)) and not self._is_cut():
            self._faults.hold()
            if self._deaf and not data.startswith(b"HTTP/1.1 100"):
                return
            self._client.sendall(data)

    def _is_cut(self) -> bool:
        if self._faults.cut:
            self._faults.happened["cut"] += 1
        return self._faults.cut

    def _whole(self, data: bytes) -> bytes:
        """Read the rest of a request."""
        while b"\r\n\r\n" not in data and (more := self._client.recv(_CHUNK)):
            data += more
        head, _, _ = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = len(head) + 4 + (int(length[1]) if length else 0)
        while len(data) < size and (more := self._client.recv(_CHUNK)):
            data += more
        return data

    def _close(self) -> None:
        self._client.close()
        self._server.close()
