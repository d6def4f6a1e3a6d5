"""The value a SQL source has come to, kept as JSON text with its type."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from flywheel.sources.base import SourceError

CursorValue = int | float | str | datetime | date | Decimal | UUID

_READERS: dict[str, Callable[[str], CursorValue]] = {
    "int": int,
    "float": float,
    "str": str,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "Decimal": Decimal,
    "UUID": UUID,
}


def write_cursor(value: object) -> str:
    """Return a cursor value as text that sorts nothing and loses nothing.

    >>> write_cursor(42), read_cursor(write_cursor(Decimal("1.50")))
    ('["int", "42"]', Decimal('1.50'))
    """
    name = type(value).__name__
    if name not in _READERS:
        allowed = ", ".join(_READERS)
        raise SourceError(
            f"a cursor can't be of type {name}; it can be: {allowed}",
            state="nothing was read",
            next_step="correct `cursor` in the Source document: a column that only grows, such as an id or a time",
        )
    text = value.isoformat() if isinstance(value, date) else str(value)
    return json.dumps([name, text])


def read_cursor(text: str) -> CursorValue | None:
    """Return the value that ``write_cursor`` wrote; None for an empty text."""
    if not text:
        return None
    name, value = json.loads(text)
    return _READERS[name](value)
