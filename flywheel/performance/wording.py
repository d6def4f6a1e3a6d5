"""A window's figures in words, the same in the terminal, the artifact and a run's answer."""

from __future__ import annotations

from flywheel.performance.measured import MeasuredWindow, MetricValue
from flywheel.performance.windows import Window

UNKNOWN = "not known yet"


def in_words(value: MetricValue | None) -> str:
    """Write what the labels say of a metric.

    >>> in_words(MetricValue(value=0.7312, low=0.7, high=0.7631)), in_words(MetricValue(estimated=0.7))
    ('0.731 (0.700 to 0.763)', 'not known yet')
    """
    if value is None or value.value is None:
        return UNKNOWN
    if value.low is None or value.high is None:
        return number(value.value)
    return f"{number(value.value)} ({number(value.low)} to {number(value.high)})"


def estimated(value: MetricValue | None) -> str:
    """Write what was to be expected of a metric before there were labels."""
    return UNKNOWN if value is None or value.estimated is None else number(value.estimated)


def labels_in_words(window: MeasuredWindow) -> str:
    """Write how many labels are here, of those that are to be expected."""
    if window.coverage is None:
        return f"{window.labelled:,} of {window.rows:,} rows"
    return f"{window.labelled:,} of {window.expected:,.0f} expected ({window.coverage:.0%})"


def days(window: MeasuredWindow | Window) -> str:
    """Write the time that a window spans, to the day where it begins and ends at midnight."""
    is_whole = all((moment.hour, moment.minute, moment.second) == (0, 0, 0) for moment in (window.start, window.end))
    form = "%Y-%m-%d" if is_whole else "%Y-%m-%d %H:%M"
    return f"{window.start:{form}} to {window.end:{form}}"


def number(value: float) -> str:
    """Write a figure with three digits after the point, or, a large one, as short as it is.

    >>> number(0.12345), number(8412.5)
    ('0.123', '8.41e+03')
    """
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}"
