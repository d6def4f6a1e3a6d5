"""How a plan comes to share its rows among the partitions of a topic."""

from __future__ import annotations

from dataclasses import dataclass

from flywheel.sources.base import Slice


@dataclass
class PartitionPlan:
    """What is planned of a partition so far: ``rows`` rows after the ``start`` earlier ones.

    Its messages are those from offset ``begin`` to below ``reached``. Nothing more can be planned once it is ``held``:
    at its end, or at a row that must not be seen yet.
    """

    number: int
    part: str
    start: int
    begin: int
    reached: int
    rows: int = 0
    held: bool = False

    def slice(self) -> Slice:
        stop = self.start + self.rows
        return Slice(part=self.part, start=self.start, stop=stop, after=str(self.begin), mark=str(self.reached))


def share_rows(total: int, parties: int) -> list[int]:
    """Share ``total`` rows as evenly as may be; the first have one more where it does not come out even.

    >>> share_rows(8, 3), share_rows(2, 3)
    ([3, 3, 2], [1, 1, 0])
    """
    each, more = divmod(total, parties)
    return [each + (place < more) for place in range(parties)]
