"""Fixes what a batch came to, once, before any table is written.

A model server may answer differently the second time (a fallback, another replica), so the first scored rows that reach
the staging folder are the batch: whoever comes second, a re-run or a run beside it, takes those. The file stays until
the batch is committed and delivered, so the folder is also the list of what sinks have yet to get.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from flywheel.context import PipelineContext
from flywheel.lake.tables import QUARANTINE

_FOLDER = "staging"
_SUFFIX = ".arrow"
_NO_QUARANTINE = pl.DataFrame(schema={name: dtype for name, dtype in QUARANTINE.items() if name != "date"})


@dataclass(frozen=True)
class ScoredBatch:
    """A batch after scoring: ``predictions`` rows (without ``date``) and ``quarantined`` rows."""

    number: int
    predictions: pl.DataFrame
    quarantined: pl.DataFrame


def stage(context: PipelineContext, batch: ScoredBatch) -> ScoredBatch:
    """Store a scored batch unless one is there, and return the one that is stored."""
    if context.storage.write_once(_uri(context, batch.number), to_bytes(batch)):
        return batch
    stored = read_staged(context, batch.number)
    return stored if stored is not None else batch


def read_staged(context: PipelineContext, number: int) -> ScoredBatch | None:
    """Return the stored batch, or None if there is none (any more)."""
    try:
        data = context.storage.read_bytes(_uri(context, number))
    except FileNotFoundError:
        return None
    return from_bytes(data, number)


def staged_numbers(context: PipelineContext) -> Iterator[int]:
    """Yield the numbers of the stored batches, oldest first."""
    for file in context.storage.list_files(context.folder(_FOLDER)):
        if file.path.endswith(_SUFFIX):
            yield int(file.path.removesuffix(_SUFFIX))


def unstage(context: PipelineContext, number: int) -> None:
    """Remove a batch that is committed and delivered."""
    context.storage.delete(_uri(context, number))


def _uri(context: PipelineContext, number: int) -> str:
    return context.folder(_FOLDER, f"{number:010d}{_SUFFIX}")


def to_bytes(batch: ScoredBatch) -> bytes:
    """Return a batch as a file, without its number: one row, each frame a list in it, so that they appear together."""
    frames = {"predictions": batch.predictions, "quarantined": batch.quarantined}
    columns = [frame.to_struct(name).implode() for name, frame in frames.items()]
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_ipc(buffer, compression="uncompressed")
    return buffer.getvalue()


def from_bytes(data: bytes, number: int) -> ScoredBatch:
    """Return the batch of a file."""
    frame = pl.read_ipc(io.BytesIO(data))
    # One that was staged by an earlier version of Flywheel may lack a column.
    quarantined = pl.concat([_NO_QUARANTINE, _part(frame["quarantined"])], how="diagonal")
    return ScoredBatch(number, _part(frame["predictions"]), quarantined)


def _part(column: pl.Series) -> pl.DataFrame:
    # An earlier version wrote a row for each of the batch's, not all of them as one.
    rows = column.drop_nulls() if column.dtype == pl.Struct else column[0]
    return rows.struct.unnest()
