"""What the demo's report says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """A model's AUC and log loss."""

    auc: float
    log_loss: float


@dataclass(frozen=True)
class Month:
    """A month of the replay."""

    month: str
    flights: int
    labelled: float
    frozen: Figures
    flywheel: Figures
    drift: int
    retrains: int


@dataclass(frozen=True)
class Report:
    """The demo's report; ``frozen`` and ``flywheel`` are means over the months."""

    flywheel: Figures
    frozen: Figures
    retrains: int
    seconds: float
    months: Sequence[Month]
