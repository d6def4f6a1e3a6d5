"""The server's certificate, read again for new connections when it is renewed."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from flywheel.errors import FlywheelError
from flywheel.serving.settings import ServerAccess
from flywheel.serving.watched import Watched


def server_credentials(access: ServerAccess) -> grpc.ServerCredentials | None:
    """Return what the server listens with, or None: in the clear.

    Raises
    ------
    FlywheelError
        A file can't be read, or the key is not the certificate's.
    """
    certificate, key = access.model_server_certificate_file, access.model_server_key_file
    if certificate is None or key is None:
        return None
    authority = access.model_server_client_ca_file
    files = [certificate, key, *([authority] if authority else [])]
    watched = Watched(files, lambda: _configuration(certificate, key, authority))
    return grpc.dynamic_ssl_server_credentials(
        watched.value(), watched.value, require_client_authentication=authority is not None
    )


def _configuration(certificate: Path, key: Path, authority: Path | None) -> grpc.ServerCertificateConfiguration:
    try:
        _check_pair(certificate, key, authority)
        return grpc.ssl_server_certificate_configuration(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=authority.read_bytes() if authority else None,
        )
    except (OSError, ValueError) as error:  # ssl's own errors are OSErrors
        reason = getattr(error, "strerror", None) or error
        raise FlywheelError(
            f"can't use the certificate {certificate} with the key {key}"
            f"{f' and the authority {authority}' if authority else ''}: {reason}",
            state="nothing is served",
            next_step="give PEM files that belong together, the key without a password",
        ) from error


def _check_pair(certificate: Path, key: Path, authority: Path | None) -> None:
    """Raise unless the files belong together: gRPC would take them, and fail each handshake."""

    def no_password() -> str:
        raise ValueError("the key is encrypted")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key, no_password)
    if authority is not None:
        context.load_verify_locations(authority)
