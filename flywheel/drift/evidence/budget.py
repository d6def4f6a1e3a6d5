"""A budget of false alarms over time, as the level of one check."""

from __future__ import annotations

from datetime import timedelta

from flywheel.manifest.false_alarms import FalseAlarms

HIGHEST = 0.5


def level(budget: FalseAlarms, elapsed: timedelta) -> float:
    """The chance of a false alarm that a check may have ``elapsed`` after the previous one: rate × time, at most 0.5.

    However often checks run, the false alarms to be expected in ``budget.per`` are ``budget.count``.

    >>> round(level(FalseAlarms(1, timedelta(days=30)), timedelta(days=1)), 4)
    0.0333
    """
    return min(HIGHEST, max(budget.count * (elapsed / budget.per), 0.0))
