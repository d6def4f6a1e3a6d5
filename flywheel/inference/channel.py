"""How a model server is reached: what gRPC does when it is away, TLS, and the token that every request carries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
from tritonclient.grpc import InferenceServerClient, InferenceServerClientPlugin

from flywheel.errors import AccessError
from flywheel.manifest.documents import ModelServerSpec
from flywheel.manifest.inference import InferenceConfig

_MAX_MESSAGE_BYTES = 2**31 - 1


def open_channel(endpoint: str, config: InferenceConfig, server: ModelServerSpec | None) -> InferenceServerClient:
    """Return a client of the server at ``endpoint``; it connects, and connects again, by itself.

    Parameters
    ----------
    server
        How to prove who we are and who it is; None: it asks nothing, in the clear.

    Raises
    ------
    AccessError
        A certificate's file can't be read.
    """
    options = _options(config)
    if server is not None and server.server_name is not None:
        options.append(("grpc.ssl_target_name_override", server.server_name))
    credentials = _credentials(server) if server is not None and server.tls else None
    client = InferenceServerClient(endpoint, creds=credentials, channel_args=options)
    if server is not None and server.token is not None:
        client.register_plugin(_Bearer(server.token.get_secret_value()))
    return client


class _Bearer(InferenceServerClientPlugin):  # type: ignore[misc]  # tritonclient has no types
    """Adds the token to each request."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def __call__(self, request: Any) -> None:
        request.headers["authorization"] = self._header


def _credentials(server: ModelServerSpec) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_read(server.ca_file, "ca_file"),
        private_key=_read(server.key_file, "key_file"),
        certificate_chain=_read(server.certificate_file, "certificate_file"),
    )


def _read(file: str | None, field: str) -> bytes | None:
    if file is None:
        return None
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise AccessError(
            f"the model server's {field} can't be read: {file}: {error.strerror}",
            state="nothing was sent",
            next_step=f"put the file there, or correct {field} in the ModelServer document and apply it again",
        ) from error


def _options(config: InferenceConfig) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        # A retry is worth nothing while the channel still waits to reconnect, by default for a second.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.enable_retries", int(config.max_retries > 0)),
        # A request that is larger than this is not sent again; by default that is 256 KiB, 1,600 rows of 20 features.
        ("grpc.per_rpc_retry_buffer_size", _MAX_MESSAGE_BYTES),
    ]
    if config.max_retries > 0:
        retry_policy = {
            "maxAttempts": config.max_retries + 1,
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        method = {"name": [{"service": "inference.GRPCInferenceService"}], "retryPolicy": retry_policy}
        options.append(("grpc.service_config", json.dumps({"methodConfig": [method]})))
    return options
