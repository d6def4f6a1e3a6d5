"""What every sink promises: a batch is delivered at least once, and can be delivered again without harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from flywheel.errors import FlywheelError


class SinkError(FlywheelError):
    """A sink did not take a batch."""


@dataclass(frozen=True)
class SinkBatch:
    """The rows of one batch that a sink is to get.

    ``pipeline`` and ``number`` are the key by which a second delivery of the same batch is known. ``rows`` are
    prediction rows; the prediction is their only struct column.
    """

    pipeline: str
    number: int
    rows: pl.DataFrame


class Sink(Protocol):
    """Takes batches of predictions."""

    def deliver(self, batch: SinkBatch) -> int:
        """Send a batch and return how many of its rows were sent; ``SinkError`` where it could not be."""
        ...


def not_delivered(name: str, batch: SinkBatch, why: str, next_step: str) -> SinkError:
    """The error for a batch that stays undelivered."""
    return SinkError(
        f"sink {name!r} did not take batch {batch.number} of {batch.pipeline}: {why}",
        state="its predictions are in the log; the batch stays undelivered and is sent again by the next run",
        next_step=next_step,
    )
