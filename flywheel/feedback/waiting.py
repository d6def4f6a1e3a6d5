"""Remembers the events that have no prediction so far: the next join need not look through all that came lately.

What a join leaves waiting is a file of its number in the lake, written before the ledger says that the join is done. It
is a memory, no truth: a join that finds none looks the feedback of the last days up again, and comes to the same.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from flywheel.context import PipelineContext
from flywheel.lake.tables import FEEDBACK

_FOLDER = "waiting"
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Waiting:
    """Rows of the feedback table that wait, and what they have been looked up in.

    Attributes
    ----------
    last_logged
        The newest batch of predictions that was seen; all before it need not be looked at again.
    max_delay
        The manifest's, then. With another one, other events are pending.
    """

    events: pl.DataFrame
    last_logged: int
    max_delay: timedelta

    def to_bytes(self) -> bytes:
        buffer = io.BytesIO()
        seen = {"last_logged": str(self.last_logged), "max_delay": str(self.max_delay // _MICROSECOND)}
        self.events.write_parquet(buffer, metadata=seen)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Waiting:
        seen = pl.read_parquet_metadata(io.BytesIO(data))
        events = pl.read_parquet(io.BytesIO(data)).cast(dict(FEEDBACK))  # type: ignore[arg-type]
        return cls(events, int(seen["last_logged"]), int(seen["max_delay"]) * _MICROSECOND)


def remember(context: PipelineContext, number: int, waiting: Waiting) -> None:
    """Store what join ``number`` leaves waiting. A second run of the join stores the same."""
    context.storage.write(_uri(context, number), waiting.to_bytes())


def recall(context: PipelineContext, number: int) -> Waiting | None:
    """Return what join ``number`` left waiting, None where nothing says so."""
    try:
        return Waiting.from_bytes(context.storage.read_bytes(_uri(context, number)))
    except FileNotFoundError:
        return None


def forget_before(context: PipelineContext, number: int) -> None:
    """Remove what joins before ``number`` have left waiting."""
    folder = context.folder(_FOLDER)
    for file in context.storage.list_files(folder):
        if file.path < _name(number):
            context.storage.delete(f"{folder}/{file.path}")


def _uri(context: PipelineContext, number: int) -> str:
    return context.folder(_FOLDER, _name(number))


def _name(number: int) -> str:
    return f"{number:010d}.parquet"
