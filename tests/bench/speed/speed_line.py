"""A line of the table that ``make bench`` ends with: a figure, its goal, and whether it is met."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One figure against one goal.

    ``issue``: the group it belongs to, 1 to 9, or "scale". ``figure`` and ``goal`` are in ``unit`` ("×" for a ratio,
    "ms", "s", "GiB", "rows/s", "%"). ``at_most``: whether the figure may not be above the goal (else: not below).
    ``beside``: what was measured to get it, the peer or the limit with its own figure, in words.
    """

    issue: str
    what: str
    figure: float
    unit: str
    goal: float
    at_most: bool
    beside: str = ""

    @property
    def is_met(self) -> bool:
        return self.figure <= self.goal if self.at_most else self.figure >= self.goal


def at_most(issue: str, what: str, figure: float, unit: str, goal: float, beside: str = "") -> Line:
    """A figure that is better when smaller.

    >>> at_most("3", "append", 1.2, "×", 1.3).is_met
    True
    """
    return Line(issue, what, figure, unit, goal, True, beside)


def at_least(issue: str, what: str, figure: float, unit: str, goal: float, beside: str = "") -> Line:
    """A figure that is better when larger.

    >>> at_least("6", "export beside pyarrow", 1.5, "×", 1.7).is_met
    False
    """
    return Line(issue, what, figure, unit, goal, False, beside)
