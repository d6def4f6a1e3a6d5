"""What is told of one window: its state, how many of its predictions have a label, and each metric."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

ALL_VERSIONS = 0


@dataclass(frozen=True)
class MetricValue:
    """A metric of a window.

    ``value`` is what its labels say, corrected for those that are still to come, within ``low`` to ``high`` with a
    probability of 95%; ``estimated`` what was to be expected before there were labels. None: not known yet.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    estimated: float | None = None


@dataclass(frozen=True)
class MeasuredWindow:
    """The performance of one model version (0: of all) on the events from ``start`` on and before ``end``.

    ``state`` is open, or final once every label has had its time; then nothing of it changes any more. ``rows`` are the
    model's own predictions, ``labelled`` those with a label so far, ``expected`` those that will have one in the end
    (None: not known), ``measured`` those that the metrics come from. ``note`` says why a metric is not known yet.
    """

    version: int
    start: datetime
    end: datetime
    as_of: datetime
    state: str
    rows: int
    labelled: int
    expected: float | None
    measured: int
    metrics: dict[str, MetricValue]
    note: str = ""

    @property
    def coverage(self) -> float | None:
        """The labels that are here, as a share of those that are to be expected; None: not known."""
        return min(self.labelled / self.expected, 1.0) if self.expected else None
