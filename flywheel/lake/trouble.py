"""What folders and buckets report through delta-rs, Polars and obstore, in words that a person can act on."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError

from flywheel.errors import DiskFullError, FlywheelError, StorageDownError, StorageError

if TYPE_CHECKING:
    from flywheel.lake.storage import Location

T = TypeVar("T")

_TURNS = 3
_KEPT = "a file, or a table's commit, is there whole or not at all; what was planned stays planned"
_GOES_ON = "the next scheduled run goes on by itself"
_FULL = re.compile(r"No space left on device|Disk quota exceeded|os error (28|122)\b|StorageFull|507 Insufficient")
_REFUSED = re.compile(
    r"lacked the necessary privileges|40[13] (Forbidden|Unauthorized)"
    r"|ExpiredToken|TokenRefreshRequired|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied"
)
_DOWN = re.compile(
    r"error sending request|timed out|connection (closed|reset|refused)|error decoding response body"
    r"|status code: (429|5\d\d)\b|\b5\d\d (Internal|Bad|Service|Gateway)",
    re.IGNORECASE,
)
_NO_BUCKET = "<Code>NoSuchBucket</Code>"
_DECORATION = re.compile(r"\x1b\[\d+m|↳")
_DETAILS = re.compile(r"\s*(Debug source|Caused by):.*", re.DOTALL)
_CODE = re.compile(r"<Code>(\w+)</Code>")
_LONGEST = 300


@contextmanager
def reaching(location: Location) -> Iterator[None]:
    """Raise what goes wrong with ``location`` as a FlywheelError.

    Answers pass as they are: that there is no such file or table, that a file is there already, that another writer
    came first.
    """
    try:
        yield
    except AlreadyExistsError:
        raise
    except FileNotFoundError as error:
        if _NO_BUCKET in str(error):
            raise _no_bucket(location) from error
        raise
    except Exception as error:
        told = _told(location, error) if _is_trouble(error) else None
        if told is None:
            raise
        raise told from error


def persistently(location: Location, action: Callable[[], T]) -> T:
    """Do what may be done again; object_store itself does not repeat a request that creates or deletes."""
    for _ in range(_TURNS - 1):
        try:
            with reaching(location):
                return action()
        except StorageDownError:
            continue
    with reaching(location):
        return action()


def _is_trouble(error: Exception) -> bool:
    # Imported once something has gone wrong: commands that only ask the metadata need neither library.
    from deltalake.exceptions import DeltaError, TableNotFoundError
    from polars.exceptions import PolarsError

    return isinstance(error, BaseError | DeltaError | OSError | PolarsError) and not isinstance(
        error, TableNotFoundError
    )


def _told(location: Location, error: Exception) -> FlywheelError | None:
    text = _plain(error)
    reason = _shown(text)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _FULL.search(text):
        return DiskFullError(
            f"no room left to write to {location.uri}: {reason}",
            state=_KEPT,
            next_step=f"free space there (flywheel run maintain removes what is no longer needed); {_GOES_ON}",
        )
    if location.is_local:
        return _not_allowed(location, reason) if isinstance(error, PermissionError | PermissionDeniedError) else None
    if _NO_BUCKET in text:
        return _no_bucket(location)
    if "RequestTimeTooSkewed" in text:
        return StorageError(
            f"{location.uri} says that our clock is wrong: {reason}",
            state=_KEPT,
            next_step=f"set this machine's clock; then {_GOES_ON}",
        )
    if isinstance(error, PermissionDeniedError | UnauthenticatedError | PermissionError) or _REFUSED.search(text):
        return StorageError(
            f"{location.uri} refuses our credentials: {reason}",
            state=_KEPT,
            next_step="renew them: FLYWHEEL_S3_ACCESS_KEY_ID and FLYWHEEL_S3_SECRET_ACCESS_KEY and `flywheel init` for "
            f"the lake, else the Storage document that the place belongs to and `flywheel apply`; then {_GOES_ON}",
        )
    if _DOWN.search(text):
        return StorageDownError(
            f"{location.uri} does not answer: {reason}",
            state=_KEPT,
            next_step=f"{_GOES_ON} once it answers; check its endpoint_url if it should",
        )
    return None


def _not_allowed(location: Location, reason: str) -> FlywheelError:
    return StorageError(
        f"{location.uri} is not ours to use: {reason}",
        state=_KEPT,
        next_step=f"give the user that runs Flywheel the right to read and write there; then {_GOES_ON}",
    )


def _no_bucket(location: Location) -> FlywheelError:
    bucket = location.uri.removeprefix("s3://").partition("/")[0]
    return StorageError(
        f"there is no bucket {bucket!r} for {location.uri}",
        state=_KEPT,
        next_step="create it, or mend its name: FLYWHEEL_LAKE_URI and `flywheel init` for the lake, else the Storage "
        f"document that the place belongs to and `flywheel apply`; then {_GOES_ON}",
    )


def _plain(error: Exception) -> str:
    """The error's text in one line, without what only a developer of the library understands."""
    return " ".join(_DECORATION.sub("", _DETAILS.sub("", str(error))).split())


def _shown(text: str) -> str:
    """As much of it as a person reads; S3's own word for it comes first, since it is often at the end."""
    code = _CODE.search(text)
    return f"{code[1]}: {text[:_LONGEST]}" if code else text[:_LONGEST]
