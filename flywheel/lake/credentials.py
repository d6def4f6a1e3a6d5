"""Credentials that are kept elsewhere: a Storage document, or the workspace, names the block that has them.

The engine does not know who keeps blocks. Whoever does declares an entry point of the group ``flywheel.credentials``,
named by the type of block: a function from the block's name to an ``S3Access``.
"""

from __future__ import annotations

import time
from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, SecretStr

from flywheel.errors import FlywheelError

if TYPE_CHECKING:
    from flywheel.manifest.documents import StorageSpec

_GROUP = "flywheel.credentials"
# Keys are rotated, and some are only lent for an hour.
_KEPT_SECONDS = 300
_SAID_BY_DOCUMENT = ("endpoint_url", "access_key_id", "secret_access_key", "region")


class S3Access(BaseModel):
    """How a bucket is reached; ``folder`` is the ``s3://`` URI that the block is about, if it is about one."""

    model_config = ConfigDict(frozen=True)

    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    region: str | None = None
    folder: str | None = None


def access_to(spec: StorageSpec) -> S3Access:
    """Return how a storage is reached: as its document says, or as the block says that it names.

    Raises
    ------
    FlywheelError
        There is no such block, nothing is installed that knows its type, or it is about another bucket.
    """
    if spec.block is None:
        return S3Access(**{name: getattr(spec, name) for name in _SAID_BY_DOCUMENT})
    access = _look_up(spec.block, int(time.monotonic() / _KEPT_SECONDS))
    if access.folder is not None and not f"{spec.root}/".startswith(f"{access.folder}/"):
        raise FlywheelError(
            f"the block {spec.block} is about {access.folder}, and {spec.root} is elsewhere",
            next_step="correct the storage's root, or name a block of credentials instead of a bucket",
        )
    return access


@lru_cache(maxsize=64)
def _look_up(block: str, _window: int) -> S3Access:
    kind, _, name = block.partition("/")
    found = entry_points(group=_GROUP)
    if kind not in found.names:
        raise FlywheelError(
            f"nothing is installed that reads blocks of type {kind!r} (entry point {_GROUP}:{kind})",
            next_step="install the whole project: uv pip install -e .",
        )
    access: S3Access = found[kind].load()(name)
    return access
