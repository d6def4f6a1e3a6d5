"""Rows of a SQL query, each read once, by a cursor column that only grows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from flywheel.manifest.documents import SqlSourceSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.metadata.trouble import is_down
from flywheel.records.paths import pick_values
from flywheel.records.records import Records, concat_records, read_records
from flywheel.sources.base import Progress, Slice, SourceDownError, SourceError
from flywheel.sources.cursor import write_cursor
from flywheel.sources.cursor_query import CursorQuery, Fetched
from flywheel.sources.visible import known_since, time_paths, visible_prefix

PART = "query"


class SqlSource:
    """The rows of ``spec.query``, in the order of ``spec.cursor``.

    The query is wrapped as a subselect with bound parameters, so any dialect of SQLAlchemy will do. Rows with the same
    cursor value stay together, even if they are more than ``max_rows``. A row that is committed later than one with a
    larger cursor value, and a row without a cursor value, are never seen: choose a cursor that only grows.
    """

    def __init__(self, spec: SqlSourceSpec) -> None:
        self._spec = spec
        self._url = _parse_url(spec.url.get_secret_value())
        self._times = time_paths(spec.event_time, spec.received_at)

    def plan(self, done: Mapping[str, Progress], as_of: datetime, max_rows: int) -> list[Slice]:
        """See ``Source.plan``."""
        progress = done.get(PART)
        start, after = (progress.rows, progress.mark) if progress else (0, "")
        with self._connected() as query:
            ahead = query.fetch(self._times, after=after, limit=max_rows + 1)
            rows = self._whole_groups(ahead, as_of, max_rows)
            if rows == 0 and ahead.holds_one_group_only(max_rows):
                ahead = query.fetch(self._times, after=after, upto=write_cursor(ahead.cursors[0]))
                rows = self._whole_groups(ahead, as_of, len(ahead.cursors))
        if rows == 0:
            return []
        mark = write_cursor(ahead.cursors[rows - 1])
        return [Slice(part=PART, start=start, stop=start + rows, after=after, mark=mark)]

    def read(self, slices: Sequence[Slice], paths: Sequence[JsonPath]) -> Records:
        """See ``Source.read``."""
        wanted = list(dict.fromkeys(paths))
        with self._connected() as query:
            fetched = [query.fetch(wanted, after=piece.after, upto=piece.mark) for piece in slices]
        chunks = [
            read_records(pick_values(found.frame, wanted), PART, piece.start, found.frame.to_struct("record"))
            for piece, found in zip(slices, (one.in_fixed_order() for one in fetched), strict=True)
        ]
        return concat_records(chunks, wanted)

    def _whole_groups(self, ahead: Fetched, as_of: datetime, max_rows: int) -> int:
        """Return how many rows can be taken without parting rows with the same cursor value."""
        visible = visible_prefix(known_since(pick_values(ahead.frame, self._times), self._times), as_of)
        rows, cursors = min(visible, max_rows), ahead.cursors
        while 0 < rows < len(cursors) and cursors[rows - 1] == cursors[rows]:
            rows -= 1
        return rows

    @contextmanager
    def _connected(self) -> Iterator[CursorQuery]:
        try:
            engine = sa.create_engine(self._url, poolclass=NullPool)
            with engine.connect() as connection:
                yield CursorQuery(connection, self._spec.query, self._spec.cursor)
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            away = isinstance(error, sa.exc.DBAPIError) and is_down(error)
            raise (SourceDownError if away else SourceError)(
                f"the SQL source {self._url.render_as_string(hide_password=True)} failed: {reason}",
                state="nothing was read",
                next_step="try `query` in a database client, and check `url` and `cursor` in the Source document",
            ) from error


def _parse_url(text: str) -> sa.URL:
    try:
        return sa.make_url(text)
    except sa.exc.ArgumentError:
        # Not chained: the text may hold a password.
        raise SourceError(
            "the SQL source's url is not one that SQLAlchemy can read",
            state="nothing was read",
            next_step="write it as dialect+driver://user:password@host:port/database in the Source document",
        ) from None
