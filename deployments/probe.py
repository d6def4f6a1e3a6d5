"""``python -m deployments.probe WHERE``: ends with 0 if a process answers, for the health checks of containers.

``http://…`` is asked with GET (Prefect server, worker); ``HOST:PORT`` is a model server, asked whether it is ready.
"""

from __future__ import annotations

import ssl
import sys
from urllib.request import urlopen

_SECONDS = 5.0
# ServerReadyResponse(ready=True), serialized.
_READY = b"\x08\x01"


def answers(where: str, *, tls: bool = False) -> bool:
    """Whether the process at ``where`` answers, and well; with ``tls``, whether it gets as far as a handshake."""
    if "://" in where:
        return _answers_http(where)
    return _speaks_tls(where) if tls else _is_ready(where)


def _answers_http(url: str) -> bool:
    try:
        with urlopen(url, timeout=_SECONDS):  # noqa: S310 - the address is our own container's
            return True
    except OSError:
        return False


def _is_ready(address: str) -> bool:
    import grpc

    with grpc.insecure_channel(address) as channel:
        # The call of the protocol without its generated code, whose import takes longer than the answer.
        ready = channel.unary_unary("/inference.GRPCInferenceService/ServerReady")
        try:
            return bool(ready(b"", timeout=_SECONDS) == _READY)
        except grpc.RpcError:
            return False


def _speaks_tls(address: str) -> bool:
    """A certificate for the name that clients use does not say 127.0.0.1, and may ask for a client's own."""
    host, _, port = address.rpartition(":")
    try:
        ssl.get_server_certificate((host, int(port)), timeout=_SECONDS)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(0 if answers(sys.argv[1], tls="--tls" in sys.argv[2:]) else 1)
