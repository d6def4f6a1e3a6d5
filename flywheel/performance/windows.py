"""Windows of event time: of one length, begun on a Monday at midnight or any number of lengths after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_FIRST = datetime(1970, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Window:
    """The events from ``start`` on and before ``end``."""

    start: datetime
    end: datetime


def window_of(moment: datetime, length: timedelta) -> Window:
    """Return the window that ``moment`` lies in.

    >>> window_of(datetime(2024, 5, 16, 9, tzinfo=UTC), timedelta(days=7)).start.date()
    datetime.date(2024, 5, 13)
    """
    start = _FIRST + (moment - _FIRST) // length * length
    return Window(start, start + length)


def windows_between(first: datetime, last: datetime, length: timedelta) -> Iterator[Window]:
    """Yield the windows from that of ``first`` to that of ``last``, oldest first."""
    window = window_of(first, length)
    while window.start <= last:
        yield window
        window = Window(window.end, window.end + length)
