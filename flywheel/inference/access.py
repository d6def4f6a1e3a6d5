"""Tells a server that is away from one that refuses us, or that we must not trust: no retry helps with those.

gRPC says UNAVAILABLE for a server that is down, for a certificate that is not trusted and for TLS on one side only.
Which of them it is, is found out by a TLS handshake of our own.
"""

from __future__ import annotations

import socket
import ssl

from tritonclient.utils import InferenceServerException

from flywheel.errors import AccessError
from flywheel.manifest.documents import ModelServerSpec
from flywheel.redact import redact

_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_SECONDS = 1.0
_FIRST_WORD_SECONDS = 0.3
_AWAY = (ssl.SSLEOFError, ssl.SSLZeroReturnError, TimeoutError)


def status_of(error: InferenceServerException) -> str:
    """Return the gRPC status of an error, such as ``UNAVAILABLE``; empty where there is none."""
    return str(error.status() or "").removeprefix("StatusCode.")


class AccessWatch:
    """Looks at the errors of one connection for those that a person has to mend.

    Parameters
    ----------
    server
        How the server is reached; None: in the clear.
    """

    def __init__(self, endpoint: str, server: ModelServerSpec | None) -> None:
        self._endpoint = endpoint
        self._server = server
        self._has_looked = False

    def discreet(self, error: InferenceServerException) -> InferenceServerException:
        """Return the error without our token, which a server may repeat in its message."""
        message = redact(str(error.message()), self._server.token if self._server else None)
        return InferenceServerException(message, error.status())

    def described(self, error: InferenceServerException) -> str:
        """Return an error as ``STATUS: message``, without our token."""
        status, message = status_of(error), self.discreet(error).message()
        return f"{status}: {message}" if status else str(message)

    def check(self, error: InferenceServerException) -> None:
        """Raise AccessError if this error is about access; a handshake is tried once in a connection's life."""
        status = status_of(error)
        if status in _REFUSED:
            raise self._refused(self.described(error))
        if status == "UNAVAILABLE" and not self._has_looked:
            self._has_looked = True
            problem = _handshake_problem(self._endpoint, self._server)
            if problem is not None:
                raise self._error(*problem)

    def _refused(self, message: str) -> AccessError:
        has_token = self._server is not None and self._server.token is not None
        step = "give the ModelServer document the server's `token`" if not has_token else "correct its `token`"
        return self._error(f"refused us: {message}", step)

    def _error(self, what: str, step: str) -> AccessError:
        return AccessError(
            f"the model server at {self._endpoint} {what}",
            state="nothing was scored or written; the next run goes on from here",
            next_step=f"{step}; then: flywheel apply -f MANIFEST, flywheel run infer",
        )


def _handshake_problem(endpoint: str, server: ModelServerSpec | None) -> tuple[str, str] | None:
    """Return what is wrong between the two sides' TLS and how to mend it, or None if the server is just away."""
    if server is None or not server.tls:
        if _answers_tls(endpoint):
            return "speaks TLS, and was asked in the clear", "give the ModelServer document `tls: true`"
        return None
    try:
        speaks = _shake_hands(endpoint, _trusting(server), server.server_name)
        if speaks or _hangs_up_anyway(endpoint, server):
            return None
    except _AWAY:
        return None
    except ssl.SSLCertVerificationError as error:
        return f"has a certificate that is not trusted: {error.verify_message}", "correct `ca_file` or `server_name`"
    except ssl.SSLError as error:
        if "ALERT" not in (error.reason or ""):
            return "does not speak TLS", "take `tls: true` out of the ModelServer document, or start it with TLS"
    except OSError:
        return None
    return "did not take our certificate, or misses it", "correct `certificate_file` and `key_file`"


def _answers_tls(endpoint: str) -> bool:
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE  # nothing is sent over it
    try:
        _shake_hands(endpoint, anybody, None)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
    return True


def _hangs_up_anyway(endpoint: str, server: ModelServerSpec) -> bool:
    """Whether a server that hung up after the handshake did so for another reason than our certificate.

    With TLS 1.3 that is when gRPC's server does so, as a proxy does whose server is away; with 1.2 it is before.
    """
    older = _trusting(server)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        _shake_hands(endpoint, older, server.server_name)
    except ssl.SSLEOFError:
        return False
    return True


def _trusting(server: ModelServerSpec) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.ca_file)
    if server.certificate_file is not None:
        context.load_cert_chain(server.certificate_file, server.key_file)
    return context


def _shake_hands(endpoint: str, context: ssl.SSLContext, server_name: str | None) -> bool:
    """Shake hands, send nothing, and return whether the server then said a first word, as gRPC's servers do."""
    host, _, port = endpoint.rpartition(":")
    host = host.strip("[]")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), _SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=server_name or host) as secure,
    ):
        secure.settimeout(_FIRST_WORD_SECONDS)
        return bool(secure.recv(1))
