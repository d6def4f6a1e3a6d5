"""Files that are renewed while the server runs: certificates, tokens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from flywheel.errors import FlywheelError

T = TypeVar("T")
_log = logging.getLogger("flywheel.serving")


class Watched(Generic[T]):
    """What some files hold, read again when one of them changes; what can't be read then leaves the old in force.

    Parameters
    ----------
    read
        Makes a value of the files, or raises FlywheelError; the first call's error is the caller's.
    """

    def __init__(self, files: Sequence[Path], read: Callable[[], T]) -> None:
        self._files = files
        self._read = read
        self._lock = threading.Lock()
        self._seen = self._stamps()
        self._value = read()

    def value(self) -> T:
        """Return the newest value."""
        with self._lock:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._renew()
            return self._value

    def _renew(self) -> None:
        names = ", ".join(map(str, self._files))
        try:
            self._value = self._read()
        except FlywheelError as error:
            _log.error("%s changed, and the old content stays in force: %s", names, error.what)
        else:
            _log.info("%s changed, and is in force", names)

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(file) for file in self._files]


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
