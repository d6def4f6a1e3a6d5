"""Who may ask the model server, and how it proves who it is."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from flywheel.errors import FlywheelError
from flywheel.manifest.fields import Token, is_loopback
from flywheel.settings import Settings

_STATE = "nothing is served"


class ServerAccess(Settings):
    """TLS and tokens, from ``FLYWHEEL_MODEL_SERVER_*`` variables, then ``flywheel.toml``; by default neither."""

    model_server_certificate_file: Path | None = Field(default=None, description="PEM file: the server speaks TLS")
    model_server_key_file: Path | None = Field(default=None, description="PEM file, its key, without a password")
    model_server_client_ca_file: Path | None = Field(
        default=None, description="PEM file: clients must show a certificate of this authority"
    )
    model_server_token: Token = Field(default=None, description="The token that requests must carry")
    model_server_token_file: Path | None = Field(
        default=None, description="File with the tokens that are taken, one a line; it is read again when it changes"
    )
    model_server_plain_token: bool = Field(
        default=False, description="Take tokens without TLS beyond this machine, inside an encrypted network"
    )

    @property
    def has_tls(self) -> bool:
        return self.model_server_certificate_file is not None

    @property
    def asks_for_token(self) -> bool:
        return self.model_server_token is not None or self.model_server_token_file is not None

    @property
    def summary(self) -> str:
        """How the server may be asked, in a few words."""
        certificates = ", client certificates" if self.model_server_client_ca_file else ""
        token = "a token" if self.asks_for_token else "no token"
        return f"{'TLS' if self.has_tls else 'no TLS'}{certificates}, {token}"

    def check(self, address: str) -> None:
        """Refuse settings that don't go together, or that would send a token over a network in the clear."""
        certificate, key = self.model_server_certificate_file, self.model_server_key_file
        if (certificate is None) != (key is None):
            absent = "certificate" if certificate is None else "key"
            raise FlywheelError(
                f"TLS needs a certificate and its key, and there is no {absent}",
                state=_STATE,
                next_step=f"give --tls-{absent} FILE, or FLYWHEEL_MODEL_SERVER_{absent.upper()}_FILE",
            )
        if self.model_server_client_ca_file is not None and not self.has_tls:
            raise FlywheelError(
                "clients can't show a certificate without TLS",
                state=_STATE,
                next_step="give --tls-certificate and --tls-key as well",
            )
        if self.asks_for_token and not (self.has_tls or self.model_server_plain_token or is_loopback(address)):
            raise FlywheelError(
                f"clients would send their token to {address} in the clear, for everyone on the way to read",
                state=_STATE,
                next_step="give --tls-certificate and --tls-key; or --plain-token inside an encrypted network",
            )


# A server that anybody may ask, whatever the environment says.
OPEN = ServerAccess.model_construct()
