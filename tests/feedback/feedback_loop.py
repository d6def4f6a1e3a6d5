"""A pipeline's tables, and joins run on them one after another, as the flow runs them."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from flywheel.feedback.counts import JoinCounts
from flywheel.feedback.join import JoinBatch, Joined, join_feedback
from flywheel.feedback.waiting import Waiting
from flywheel.lake.storage import Location
from flywheel.lake.tables import FEEDBACK, PipelineTables, pipeline_tables
from flywheel.records.sample_key import sample_keys

START = datetime(2013, 2, 1, 12, tzinfo=UTC)
MAX_DELAY = timedelta(hours=24)
PREDICTIONS = pl.Schema(
    {
        "prediction_id": pl.String(),
        "event_time": pl.Datetime("us", "UTC"),
        "batch_id": pl.Int64(),
        "sample_key": pl.Int64(),
    }
)


@dataclass(frozen=True)
class Event:
    """A feedback event, in hours after START."""

    prediction: str
    happened: float
    received: float
    label: str | None = "late"
    confidence: float = 1.0
    name: str = "landed"


class Loop:
    """A pipeline's tables, and joins run on them; ``remembers``: whether each is told what the last left waiting."""

    def __init__(
        self, join: Callable[[PipelineTables, JoinBatch], Joined] = join_feedback, *, remembers: bool = True
    ) -> None:
        self._join = join
        self._remembers = remembers
        self.waiting: Waiting | None = None
        self.max_delay = MAX_DELAY
        self._folder = tempfile.TemporaryDirectory()
        weakref.finalize(self, self._folder.cleanup)
        self.tables: PipelineTables = pipeline_tables(Location(self._folder.name), "p", PREDICTIONS)
        self.joins = 0
        self.logged = 0
        self.last_as_of: datetime | None = None

    def predict(self, **hours: float) -> None:
        """Log predictions: their ids and event times, in hours after START."""
        self.logged += 1
        rows = pl.DataFrame(
            {
                "prediction_id": list(hours),
                "event_time": [START + timedelta(hours=hour) for hour in hours.values()],
                "batch_id": [self.logged] * len(hours),
                "sample_key": sample_keys(pl.Series(list(hours), dtype=pl.String)),
            },
            schema=PREDICTIONS,
        )
        dated = rows.with_columns(date=pl.col("event_time").dt.date())
        self.tables.predictions.append_once(dated, "p/records", self.logged)

    def join(self, events: list[Event], at_hour: float, *, write: bool = True) -> JoinCounts:
        number = self.joins + 1
        rows = pl.DataFrame(
            {
                "prediction_id": [event.prediction for event in events],
                "event": [event.name for event in events],
                "event_time": [START + timedelta(hours=event.happened) for event in events],
                "received_at": [START + timedelta(hours=event.received) for event in events],
                "label": [event.label for event in events],
                "confidence": [event.confidence if event.label else None for event in events],
                "batch_id": [number] * len(events),
                "sample_key": sample_keys(pl.Series([event.prediction for event in events], dtype=pl.String)),
                "date": [(START + timedelta(hours=event.received)).date() for event in events],
            },
            schema=FEEDBACK,
        )
        self.tables.feedback.append_once(rows, "p/feedback", number)
        as_of = START + timedelta(hours=at_hour)
        batch = JoinBatch(number, rows, as_of, self.last_as_of, self.logged, self.max_delay, self.waiting)
        joined = self._join(self.tables, batch)
        if write:
            self.waiting = Waiting.from_bytes(joined.waiting.to_bytes()) if self._remembers else None
            self.tables.labels.append_once(joined.labels, "p/feedback", number)
            self.joins, self.last_as_of = number, as_of
        return joined.counts

    def labels(self) -> list[tuple[str, str]]:
        rows = self.tables.labels.read(self.tables.labels.files())
        return sorted(rows.select("prediction_id", "label").rows())
