"""A metric over time: what labels say with its interval, and what was to be expected before them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Literal

import numpy as np

from flywheel.performance.delays import Floats
from flywheel.performance.measured import MeasuredWindow, MetricValue
from flywheel.performance.metrics import LARGER_IS_BETTER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REALISED, ESTIMATED, INK, QUIET = "#1f6f8b", "#d1495b", "#22303c", "#6b7885"


def performance_png(windows: Sequence[MeasuredWindow], metric: str) -> bytes:
    """Draw a metric of windows, oldest first, as a PNG.

    A line with its 95% band is what the labels say, a filled dot a final window, a ring an open one; the dashed line is
    what was to be expected before there were labels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.8, 3.3), dpi=110)
    figure.subplots_adjust(left=0.08, right=0.985, bottom=0.13, top=0.8)
    axis = figure.subplots()
    _draw_realised(axis, windows, metric)
    _draw_estimated(axis, windows, metric)
    better = "more" if LARGER_IS_BETTER.get(metric, True) else "less"
    axis.set_title(f"{metric} ({better} is better)", loc="left", fontsize=11, fontweight="bold", color=INK, pad=24)
    axis.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, frameon=False, fontsize=8, labelcolor=INK,
        handlelength=1.8, columnspacing=1.4, borderaxespad=0.2,
    )  # fmt: skip
    _style(axis, windows)
    png = BytesIO()
    figure.savefig(png, format="png", facecolor="white", metadata={"Software": None})
    return png.getvalue()


def _draw_realised(axis: Axes, windows: Sequence[MeasuredWindow], metric: str) -> None:
    middle, value = _line(windows, metric, "value")
    low, high = _line(windows, metric, "low")[1], _line(windows, metric, "high")[1]
    axis.fill_between(middle, low, high, color=REALISED, alpha=0.16, linewidth=0, label="95% interval")
    axis.plot(middle, value, color=REALISED, linewidth=1.6, zorder=3)
    is_final = np.array([window.state == "final" for window in windows], dtype=bool)
    for wanted, fill, name in ((is_final, REALISED, "realised, final"), (~is_final, "white", "realised, open")):
        axis.plot(
            middle[wanted], value[wanted], "o", markersize=6, color=REALISED, markerfacecolor=fill, zorder=4, label=name
        )


def _draw_estimated(axis: Axes, windows: Sequence[MeasuredWindow], metric: str) -> None:
    axis.plot(
        *_line(windows, metric, "estimated"), color=ESTIMATED, linestyle=(0, (4, 2.5)), linewidth=1.5, marker=".",
        markersize=4, zorder=2, label="estimated before labels",
    )  # fmt: skip


def _line(
    windows: Sequence[MeasuredWindow], metric: str, part: Literal["value", "low", "high", "estimated"]
) -> tuple[Floats, Floats]:
    """The middle of each window and one part of its metric; NaN, a gap, where that is not known."""
    found = [getattr(window.metrics.get(metric, MetricValue()), part) for window in windows]
    middle = [_day(window.start + (window.end - window.start) / 2) for window in windows]
    return np.array(middle, dtype=np.float64), np.array(found, dtype=np.float64)


def _style(axis: Axes, windows: Sequence[MeasuredWindow]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    # matplotlib has no types for its dates.
    locator = AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    if windows:
        axis.set_xlim(_day(windows[0].start), _day(windows[-1].end))
    axis.tick_params(labelsize=8, length=0, labelcolor=QUIET)
    axis.xaxis.get_offset_text().set(size=8, color=QUIET)
    axis.grid(axis="y", color="#e8ecf0", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color("#b6c0ca")


def _day(moment: datetime) -> float:
    """The place of a moment on an axis of days."""
    from matplotlib.dates import date2num

    return float(date2num(moment))  # type: ignore[no-untyped-call]
