"""All windows of a backtest together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.backtesting.backtest import Tried
from flywheel.performance.metrics import LARGER_IS_BETTER
from flywheel.performance.wording import UNKNOWN, days, number


@dataclass(frozen=True)
class Compared:
    """A version beside what was served.

    ``found`` and ``served`` are the means of the metric over the windows that the version did not learn from, each
    counting by its labels; None where no such window has the metric. ``better`` are the windows where the version is,
    ``lines`` says of each window what was found.
    """

    windows: int
    found: float | None
    served: float | None
    better: int
    lines: list[str]


def compare(tried: Sequence[Tried], metric: str) -> Compared:
    """Compare on windows that both have a figure for, and that the version had not seen."""
    fair = [each for each in tried if not each.learned and metric in each.found and metric in each.served]
    labels = sum(each.labelled for each in fair)
    lines = [in_words(each, metric) for each in tried]
    if not labels:
        return Compared(0, None, None, 0, lines)
    sign = 1 if LARGER_IS_BETTER[metric] else -1
    return Compared(
        windows=len(fair),
        found=sum(each.found[metric] * each.labelled for each in fair) / labels,
        served=sum(each.served[metric] * each.labelled for each in fair) / labels,
        better=sum(sign * (each.found[metric] - each.served[metric]) > 0 for each in fair),
        lines=lines,
    )


def in_words(tried: Tried, metric: str) -> str:
    """Write a window in a line.

    >>> from datetime import UTC, datetime
    >>> from flywheel.performance.windows import Window
    >>> week = Window(datetime(2024, 5, 13, tzinfo=UTC), datetime(2024, 5, 20, tzinfo=UTC))
    >>> in_words(Tried(week, 900, 800, {"auc": 0.7}, {"auc": 0.72}, False, "drift", ("km",)), "auc")
    '2024-05-13 to 2024-05-20: auc 0.720, served 0.700, of 800 labels; drift: km'
    """
    found, served = (number(known[metric]) if metric in known else UNKNOWN for known in (tried.found, tried.served))
    drift = f"; {tried.drift.replace('_', ' ')}" if tried.drift else ""
    features = f": {', '.join(tried.features)}" if tried.features else ""
    learned = ", which it learned from" if tried.learned else ""
    figures = f"{metric} {found}, served {served}, of {tried.labelled:,} labels{learned}"
    return f"{days(tried.window)}: {figures}{drift}{features}"
