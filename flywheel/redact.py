"""Keeps secrets out of what others say: servers repeat what they were sent, and people put passwords into addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr

_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")
_HIDDEN = "***"


def redact(text: str, *secrets: SecretStr | None) -> str:
    """Return a text without the secrets that may be in it.

    >>> from pydantic import SecretStr
    >>> redact("401: 'Bearer abc' is unknown", SecretStr("abc"), None)
    "401: 'Bearer ***' is unknown"
    """
    for secret in secrets:
        if secret is not None and secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), _HIDDEN)
    return text


def hide_passwords(text: str) -> str:
    """Return a text without the passwords of the URLs in it.

    >>> hide_passwords("postgresql://anna:secret@db/flights is not there")
    'postgresql://anna:***@db/flights is not there'
    """
    return _PASSWORD.sub(rf"\1:{_HIDDEN}@", text)
