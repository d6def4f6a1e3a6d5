"""What is remembered of a file between plans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

State = Literal["open", "end", "unreadable"]


@dataclass(frozen=True)
class FileMark:
    """How far a file of ``size`` bytes has been planned.

    ``position`` is where the next row begins: a byte offset in a text file, a row number in a Parquet file. ``end`` and
    ``unreadable`` files are not opened again until their size changes.

    >>> str(FileMark(1200, 345, "open")), FileMark.parse("1200 345 open").position
    ('1200 345 open', 345)
    """

    size: int = 0
    position: int = 0
    state: State = "open"

    def __str__(self) -> str:
        return f"{self.size} {self.position} {self.state}"

    @classmethod
    def parse(cls, text: str) -> Self:
        size, position, state = text.split(" ")
        return cls(int(size), int(position), state)  # type: ignore[arg-type]
