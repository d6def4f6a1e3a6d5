"""What the files source needs to know of a file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import Records
from flywheel.sources.base import Slice, SourceError
from flywheel.sources.stored import PartFile

Positions = npt.NDArray[np.int64]


class UnreadableFileError(Exception):
    """The bytes are there, but they are not a file of this format."""


@dataclass(frozen=True)
class Peek:
    """The next rows of a file.

    Attributes
    ----------
    values
        A column per requested path.
    ends
        Where the row after each of them begins.
    complete
        Nothing follows these rows in the file as it is now.
    """

    values: pl.DataFrame
    ends: Positions
    complete: bool


class FileFormat(Protocol):
    """Reads files of one format. A position is a byte offset or a row number, as the format likes."""

    def peek(self, file: PartFile, position: int, limit: int, paths: Sequence[JsonPath]) -> Peek:
        """Return at most ``limit`` rows from ``position`` on; ``UnreadableFileError`` for another format's bytes."""
        ...

    def read(self, file: PartFile, piece: Slice, paths: Sequence[JsonPath]) -> Records:
        """Return a planned slice's rows; a row that can't be read is a record with an error."""
        ...


def changed_file(file: PartFile, piece: Slice) -> SourceError:
    """The error for a file that no longer holds the rows that were planned from it."""
    return SourceError(
        f"{file.path} has been changed or replaced: rows {piece.start} to {piece.stop} that were planned are not in it",
        state="the batch stays planned; nothing of it was written",
        next_step="restore the file; add new records to the end of a file, or in a new file",
    )
