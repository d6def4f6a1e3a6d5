"""Remembers which files wait for their time, so that a plan need not open every file of the future again.

Only a shortcut: it lives in the process, and a file that changes is looked at again.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime
from threading import Lock

_MOST = 100_000


class WaitingFiles:
    """The time of the next row of files that could not be read yet.

    >>> files = WaitingFiles()
    >>> files.remember("june", datetime(2013, 6, 1))
    >>> files.waits("june", datetime(2013, 5, 1)), files.waits("june", datetime(2013, 6, 1))
    (True, False)
    """

    def __init__(self) -> None:
        self._until: dict[Hashable, datetime] = {}
        self._lock = Lock()

    def waits(self, key: Hashable, as_of: datetime) -> bool:
        """Whether the next row is known not to be visible at ``as_of``."""
        with self._lock:
            until = self._until.get(key)
        return until is not None and as_of < until

    def remember(self, key: Hashable, until: datetime) -> None:
        """Note the time of the next row; when there are too many notes, start anew."""
        with self._lock:
            if len(self._until) >= _MOST:
                self._until.clear()
            self._until[key] = until
