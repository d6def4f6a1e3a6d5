"""How a bucket is reached: object_store's options, in the words of each library that is built on it.

The defaults will not do. Polars waits for ever for an answer that does not come, and gives up after seconds where a
bucket is only overloaded. So every request has a time limit, and is repeated for four times as long.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from flywheel.lake.credentials import access_to

if TYPE_CHECKING:
    from obstore.store import RetryConfig
    from pydantic import SecretStr

    from flywheel.lake.storage import Location
    from flywheel.manifest.documents import StorageSpec

_CONNECT_SECONDS = 5
_RETRIES = 10
_REPEATED_FOR = 4


def s3_options(spec: StorageSpec) -> dict[str, str]:
    """Return the options by which delta-rs, Polars and obstore reach a bucket."""
    access = access_to(spec)
    options = {
        "AWS_ENDPOINT_URL": access.endpoint_url,
        "AWS_ACCESS_KEY_ID": access.access_key_id,
        "AWS_SECRET_ACCESS_KEY": _plain(access.secret_access_key),
        "AWS_SESSION_TOKEN": _plain(access.session_token),
        "AWS_REGION": access.region,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if spec.root.startswith("s3://"):
        given["aws_conditional_put"] = "etag"
        given["timeout"] = _milliseconds(spec.timeout_seconds)
        given["connect_timeout"] = _milliseconds(min(_CONNECT_SECONDS, spec.timeout_seconds))
        if (access.endpoint_url or "").startswith("http://"):
            given["AWS_ALLOW_HTTP"] = "true"
    return given


def obstore_retries(location: Location) -> RetryConfig:
    return {"max_retries": _RETRIES, "retry_timeout": _repeated_for(location)}


def delta_options(location: Location) -> dict[str, str]:
    """Return delta-rs's options, with how often and how long it repeats a request."""
    if location.is_local:
        return location.options
    seconds = _repeated_for(location).total_seconds()
    return {**location.options, "max_retries": str(_RETRIES), "retry_timeout": _milliseconds(seconds)}


def polars_options(location: Location) -> dict[str, str | int] | None:
    """Return Polars' options, with how often and how long it repeats a request; None for a local folder."""
    if location.is_local:
        return None
    milliseconds = _repeated_for(location) // timedelta(milliseconds=1)
    return {**location.options, "max_retries": _RETRIES, "retry_timeout_ms": milliseconds}


def _repeated_for(location: Location) -> timedelta:
    return _REPEATED_FOR * timedelta(seconds=location.timeout_seconds)


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(1000 * seconds))}ms"
