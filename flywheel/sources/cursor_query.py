"""A query wrapped as a subselect, read in the order of its cursor column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
import sqlalchemy as sa

from flywheel.errors import did_you_mean
from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.paths import column_of
from flywheel.records.text import as_text
from flywheel.sources.base import SourceError
from flywheel.sources.cursor import read_cursor
from flywheel.sources.fetched import to_frame

# What SQLAlchemy's text() would take for a parameter; `::` is PostgreSQL's cast and stays.
_PARAMETER = re.compile(r"(?<![:\w\\]):(?=\w)")


@dataclass(frozen=True)
class Fetched:
    """Rows in the order of the cursor, and their cursor values as the driver gave them."""

    frame: pl.DataFrame
    cursors: list[Any]

    def holds_one_group_only(self, max_rows: int) -> bool:
        """Whether more than ``max_rows`` rows were there, all with the same cursor value."""
        return len(self.cursors) > max_rows and self.cursors[0] == self.cursors[-1]

    def in_fixed_order(self) -> Fetched:
        """Order rows with the same cursor value by their other values: databases don't promise any order for them."""
        changes = [False, *(a != b for a, b in zip(self.cursors[1:], self.cursors, strict=False))]
        if all(changes[1:]):
            return self
        keys = [pl.Series("0", changes[: len(self.cursors)], dtype=pl.UInt32).cum_sum()]
        keys += [as_text(column).alias(str(i)) for i, column in enumerate(self.frame.iter_columns(), start=1)]
        order = pl.DataFrame(keys).with_row_index("row").sort(pl.exclude("row"), maintain_order=True)["row"]
        return Fetched(self.frame[order], self.cursors)


class CursorQuery:
    """The query on an open connection.

    Parameters
    ----------
    query
        A SELECT statement; it is wrapped, never changed.
    cursor
        The column of it that only grows.
    """

    def __init__(self, connection: sa.Connection, query: str, cursor: str) -> None:
        self._connection = connection
        # The line break keeps a comment at the query's end from swallowing what follows it.
        self._text = _PARAMETER.sub(r"\\:", query.strip().rstrip(";")) + "\n"
        self._cursor = cursor

    def fetch(self, paths: Sequence[JsonPath], *, after: str = "", upto: str = "", limit: int | None = None) -> Fetched:
        """Return rows with a cursor value above ``after`` and at most ``upto``, as ``write_cursor`` wrote them."""
        needed = [name for path in paths if (name := column_of(path.segments, self._columns)) is not None]
        names = list(dict.fromkeys([self._cursor, *needed]))
        source = sa.text(self._text).columns(*[sa.column(name) for name in names]).subquery("source")
        cursor = source.c[self._cursor]
        statement = sa.select(*[source.c[name] for name in names]).order_by(cursor).limit(limit)
        statement = statement.where(cursor > read_cursor(after) if after else cursor.is_not(None))
        if upto:
            statement = statement.where(cursor <= read_cursor(upto))
        rows = self._connection.execute(statement).fetchall()
        return Fetched(to_frame(rows, names), [row[0] for row in rows])

    @cached_property
    def _columns(self) -> list[str]:
        """The names of the query's columns."""
        source = sa.text(self._text).columns().subquery("source")
        names = list(self._connection.execute(sa.select(sa.text("*")).select_from(source).where(sa.false())).keys())
        if self._cursor not in names:
            hint = did_you_mean(self._cursor, names)
            raise SourceError(
                f"the query has no column {self._cursor!r}{hint}; it has: {', '.join(names)}",
                state="nothing was read",
                next_step="correct `cursor` in the Source document",
            )
        return names
