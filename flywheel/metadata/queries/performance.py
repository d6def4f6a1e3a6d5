"""The measured windows of a pipeline's performance: final ones are written once, open ones replaced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flywheel.metadata.database import Database
from flywheel.metadata.schema import PerformanceWindow
from flywheel.performance.measured import ALL_VERSIONS, MeasuredWindow, MetricValue

Span = tuple[datetime, datetime]


def final_windows(database: Database, pipeline: str) -> set[Span]:
    """Return the start and end of a pipeline's final windows."""
    wanted = select(PerformanceWindow.window_start, PerformanceWindow.window_end).where(
        PerformanceWindow.pipeline == pipeline,
        PerformanceWindow.version == ALL_VERSIONS,
        PerformanceWindow.state == "final",
    )
    with database.session() as session:
        return {(start, end) for start, end in session.execute(wanted)}


def store_windows(database: Database, pipeline: str, model_id: str, windows: Iterable[MeasuredWindow]) -> None:
    """Write windows down, all or none. One that is final stays as it is, and so does one that is known later."""
    found = list(windows)
    try:
        _store(database, pipeline, model_id, found)
    except IntegrityError:
        # Another run wrote one of them first, after we had looked; now we see it.
        _store(database, pipeline, model_id, found)


def performance_windows(
    database: Database, pipeline: str, limit: int, version: int | None = ALL_VERSIONS
) -> list[MeasuredWindow]:
    """Return the newest windows of a pipeline, newest first: of a model version, 0 for all together, None for each."""
    wanted = select(PerformanceWindow).where(PerformanceWindow.pipeline == pipeline)
    if version is not None:
        wanted = wanted.where(PerformanceWindow.version == version)
    newest = wanted.order_by(PerformanceWindow.window_start.desc(), PerformanceWindow.version).limit(limit)
    with database.session() as session:
        return [_window(row) for row in session.scalars(newest)]


def _store(database: Database, pipeline: str, model_id: str, windows: Sequence[MeasuredWindow]) -> None:
    with database.session() as session:
        for window in windows:
            key = (pipeline, model_id, window.version, window.start, window.end)
            known = session.get(PerformanceWindow, key, with_for_update=True)
            if known is None or (known.state == "open" and known.as_of <= window.as_of):
                session.merge(_row(key, window))
        _forget_other_lengths(session, pipeline, model_id, {window.end - window.start for window in windows})


def _forget_other_lengths(session: Session, pipeline: str, model_id: str, lengths: set[timedelta]) -> None:
    """Open windows of a length that the manifest no longer asks for would stay open for ever."""
    still_open = select(PerformanceWindow).where(
        PerformanceWindow.pipeline == pipeline,
        PerformanceWindow.model_id == model_id,
        PerformanceWindow.state == "open",
    )
    for row in session.scalars(still_open):
        if row.window_end - row.window_start not in lengths:
            session.delete(row)


def _row(key: tuple[str, str, int, datetime, datetime], window: MeasuredWindow) -> PerformanceWindow:
    pipeline, model_id, version, start, end = key
    return PerformanceWindow(
        pipeline=pipeline,
        model_id=model_id,
        version=version,
        window_start=start,
        window_end=end,
        as_of=window.as_of,
        state=window.state,
        rows=window.rows,
        labelled=window.labelled,
        expected=window.expected,
        measured=window.measured,
        metrics={name: asdict(value) for name, value in window.metrics.items()},
        note=window.note,
        calculated_at=datetime.now(UTC),
    )


def _window(row: PerformanceWindow) -> MeasuredWindow:
    return MeasuredWindow(
        version=row.version,
        start=row.window_start,
        end=row.window_end,
        as_of=row.as_of,
        state=row.state,
        rows=row.rows,
        labelled=row.labelled,
        expected=row.expected,
        measured=row.measured,
        metrics={name: MetricValue(**value) for name, value in row.metrics.items()},
        note=row.note,
    )
