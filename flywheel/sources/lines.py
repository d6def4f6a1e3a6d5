"""Text as lines, without copying it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

BOM = b"\xef\xbb\xbf"
NEWLINE, RETURN = 10, 13

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lines:
    """The lines of ``data``: line i is ``data[starts[i]:stops[i]]``, its line end included."""

    data: Bytes
    starts: Offsets
    stops: Offsets

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def ends(self) -> Offsets:
        """Where the lines end without their ``\\n`` or ``\\r\\n``."""
        ends: Offsets = self.stops - (self._byte(self.stops - 1) == NEWLINE)
        ends -= (ends > self.starts) & (self._byte(ends - 1) == RETURN)
        return ends

    @property
    def terminated(self) -> bool:
        """Whether the last line has its line end."""
        return len(self.data) == 0 or int(self.data[-1]) == NEWLINE

    def keep(self, mask: npt.NDArray[np.bool_]) -> Lines:
        return Lines(self.data, self.starts[mask], self.stops[mask])

    def first(self, count: int) -> Lines:
        return Lines(self.data, self.starts[:count], self.stops[:count])

    def not_blank(self) -> Lines:
        return self.keep(self.ends > self.starts)

    def text(self) -> pl.Series:
        """The lines, their ends stripped, as String; null where the bytes are not UTF-8."""
        return to_text(slices_of(self.data, self.starts, self.ends))

    def mended(self, text: pl.Series) -> pl.Series:
        """``text()`` with the lines that are not UTF-8 put in, the bad bytes replaced."""
        broken = text.is_null()
        if not broken.any():
            return text
        lines = slices_of(self.data, self.starts, self.ends).filter(broken)
        replaced = pl.Series([line.decode(errors="replace") for line in lines], dtype=pl.String)
        return text.clone().scatter(broken.arg_true(), replaced)

    def _byte(self, places: Offsets) -> Bytes:
        return self.data[places] if len(self.data) else np.zeros(len(places), np.uint8)


def split_lines(content: bytes) -> Lines:
    """Split at ``\\n``; what follows the last one, if anything does, is a line too.

    >>> split_lines(b"a\\r\\n\\nbc").text().to_list()
    ['a', '', 'bc']
    """
    data: Bytes = np.frombuffer(content, dtype=np.uint8)
    stops = np.flatnonzero(data == NEWLINE).astype(np.int64) + 1
    if len(data) and int(data[-1]) != NEWLINE:
        stops = np.append(stops, len(data))
    starts = np.concatenate([np.zeros(min(1, len(stops)), np.int64), stops[:-1]])
    return Lines(data, starts, stops)


def slices_of(data: Bytes, starts: Offsets, stops: Offsets) -> pl.Series:
    """Return ``data[starts[i]:stops[i]]`` as Binary; the slices must be in order and must not overlap."""
    bounds = np.empty(2 * len(starts) + 1, dtype=np.int64)
    bounds[0:-1:2], bounds[1::2], bounds[-1] = starts, stops, stops[-1] if len(stops) else 0
    # Every second slice is the gap between two; Arrow then needs no copy.
    buffers: list[Any] = [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    array = pa.LargeBinaryArray.from_buffers(pa.large_binary(), 2 * len(starts), buffers)
    return pl.Series(array).gather_every(2)


def to_text(column: pl.Series) -> pl.Series:
    """Return bytes as String; null where they are not UTF-8."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series(column.name, [_decode(value) for value in column], dtype=pl.String)


def _decode(value: bytes | None) -> str | None:
    try:
        return value.decode() if value is not None else None
    except UnicodeDecodeError:
        return None
