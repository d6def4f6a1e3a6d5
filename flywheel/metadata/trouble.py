"""What the metadata database's drivers raise, in words that a person can act on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import SQLITE_BUSY, SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError

from flywheel.errors import DatabaseDownError, DatabaseError, DiskFullError, FlywheelError

_KEPT = "a transaction is stored whole or not at all: what was planned stays planned, what was committed stays"
_GOES_ON = "the next scheduled run goes on by itself"
# PostgreSQL's classes and codes of errors, appendix A of its manual.
_DOWN = ("08", "57P01", "57P02", "57P03", "53300", "25P03", "40001", "40P01", "55P03")
_FULL = "53100"
_LITTLE = 1_000_000  # bytes
_REFUSED = ("password authentication failed", "no pg_hba.conf entry", "does not exist", "no password supplied")


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Raise what the driver of the database at ``url`` raises as a FlywheelError.

    An IntegrityError passes: to the caller it is an answer, that another run was first.
    """
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        # Not chained: its text has the statement with all its values.
        raise _told(url, error) from None


def is_down(error: DBAPIError) -> bool:
    """Whether the server was not reached, ended the connection, or asks to be left alone for a while."""
    if (result := _sqlite_result(error)) is not None:
        return result == SQLITE_BUSY
    if code := _code(error):
        return code.startswith(_DOWN)
    # What fails before there is a connection has no statement.
    gone = error.connection_invalidated or error.statement is None
    return gone and not any(text in str(error.orig) for text in _REFUSED)


def _told(url: URL, error: DBAPIError) -> FlywheelError:
    reason = _reason(url, error)
    if _is_full(url, error):
        return DiskFullError(
            f"the disk of the metadata database is full: {_place(url)}: {reason}",
            state=_KEPT,
            next_step=f"free space there; {_GOES_ON}",
        )
    if is_down(error):
        return DatabaseDownError(
            f"the metadata database does not answer: {_place(url)}: {reason}",
            state=_KEPT,
            next_step=f"{_GOES_ON} once the database is there; check FLYWHEEL_DATABASE_URL if it should be",
        )
    return DatabaseError(
        f"the metadata database does not answer: {_place(url)}: {reason}",
        state=_KEPT,
        next_step="check FLYWHEEL_DATABASE_URL, run flywheel init if it is new, then try again",
    )


def _is_full(url: URL, error: DBAPIError) -> bool:
    result = _sqlite_result(error)
    # SQLite has no word of its own for a log or an index of it that can't grow.
    if result in (SQLITE_IOERR, SQLITE_CANTOPEN) and url.database:
        return shutil.disk_usage(Path(url.database).resolve().parent).free < _LITTLE
    return result == SQLITE_FULL or _code(error) == _FULL or "No space left on device" in str(error.orig)


def _sqlite_result(error: DBAPIError) -> int | None:
    """SQLite's primary result code, None if it is another database."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _code(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _reason(url: URL, error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    reason = lines[0] if lines else type(error.orig).__name__
    return reason.replace(url.password, "***") if url.password else reason


def _place(url: URL) -> str:
    return url.render_as_string(hide_password=True)
