"""Histograms of reference and window: a picture for artifacts, text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from flywheel.drift.bars import Bars, bars_of
from flywheel.drift.baseline import Baseline
from flywheel.drift.bins import Floats
from flywheel.drift.compared import comparison_of
from flywheel.drift.measures import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection

REFERENCE, WINDOW, INK, QUIET = "#c9d3df", "#d1495b", "#22303c", "#6b7885"
COLUMNS = 3
TEXT_BAR = 24
CHARACTERS = 65  # that fit under one plot


class Drawn(Protocol):
    """What a histogram is of: a feature, as a whole or in a slice, beside all of the reference or its seasons."""

    @property
    def feature(self) -> str: ...
    @property
    def slice(self) -> str | None: ...
    @property
    def seasonal(self) -> bool: ...
    @property
    def title(self) -> str: ...


def histogram_png(baseline: Baseline, counts: pl.DataFrame, findings: Sequence[Drawn]) -> bytes:
    """Draw what was found as a PNG, three a row: wide pale bars are the reference, narrow red ones the window."""
    from matplotlib.figure import Figure

    plots = _plots(baseline, counts, findings)
    columns = min(COLUMNS, max(len(plots), 1))
    lines = -(-len(plots) // columns) or 1
    width, height = 4.4 * columns, 2.9 * lines + 0.4
    figure = Figure(figsize=(width, height), dpi=110)
    # Fixed margins in inches: matplotlib's own layout measures every text twice, a quarter of the time of a check.
    figure.subplots_adjust(
        left=0.55 / width, right=1 - 0.15 / width, bottom=0.65 / height, top=1 - 0.75 / height, wspace=0.18, hspace=0.5
    )
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, (title, note, bars) in zip(axes, plots, strict=False):
        _draw(axis, title, note, bars)
    for axis in axes[len(plots) :]:
        axis.set_axis_off()
    if plots:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper left", ncols=2, frameon=False, labelcolor=INK)
    png = BytesIO()
    figure.savefig(png, format="png", facecolor="white", metadata={"Software": None})
    return png.getvalue()


def histogram_text(baseline: Baseline, counts: pl.DataFrame, findings: Sequence[Drawn]) -> str:
    """Draw what was found with block characters, for a terminal of 80 columns."""
    return "\n\n".join(_text(title, note, bars) for title, note, bars in _plots(baseline, counts, findings))


def _plots(baseline: Baseline, counts: pl.DataFrame, findings: Sequence[Drawn]) -> list[tuple[str, str, Bars]]:
    """Title, note and bars of each finding whose feature and slice the baseline has."""
    plots = []
    for finding in findings:
        comparison = comparison_of(baseline, counts, finding.feature, finding.slice, finding.seasonal)
        if comparison is None:
            continue
        psi = None if comparison.is_empty else MEASURES["psi"].value(comparison)
        note = "no rows" if psi is None else f"psi {psi:.3f}"
        plots.append((finding.title, note, bars_of(comparison)))
    return plots


def _draw(axis: Axes, title: str, note: str, bars: Bars) -> None:
    places = np.arange(len(bars.labels), dtype=float)
    if bars.is_range and bars.labels[-1] == "missing":
        places[-1] += 1
    axis.add_collection(_bars(places, bars.reference, 0.92, color=REFERENCE, label="reference"))
    axis.add_collection(_bars(places, bars.window, 0.46, color=WINDOW, label="window"))
    axis.set_xlim(-0.8, places[-1] + 0.8)
    axis.set_ylim(0, 105 * max(bars.reference.max(), bars.window.max(), 1e-12))
    axis.set_title(_shortened(title, 44), loc="left", fontsize=11, fontweight="bold", color=INK, parse_math=False)
    axis.set_title(note, loc="right", fontsize=10, color=QUIET)
    shown = _ticks(bars)
    starts = [places[bar] - 0.5 * (bars.is_range and bars.labels[bar] != "missing") for bar in shown]
    labels = [_shortened(bars.labels[bar].removeprefix("> "), 12) for bar in shown]
    axis.set_xticks(starts, labels)
    axis.tick_params(axis="x", labelsize=8, length=0, labelcolor=INK)
    if _would_touch(labels, np.diff(starts) * CHARACTERS / (places[-1] + 1.6)):
        # Each ends at its bar; turned about their middles, the long ones would lie across their neighbours.
        for label in axis.get_xticklabels():
            label.set(rotation=45, rotation_mode="anchor", horizontalalignment="right", verticalalignment="top")
    axis.tick_params(axis="y", labelsize=8, length=0, labelcolor=QUIET)
    axis.yaxis.set_major_formatter("{x:g}%")
    axis.grid(axis="y", color="#e8ecf0", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color("#b6c0ca")


def _would_touch(labels: Sequence[str], rooms: Floats) -> bool:
    """Whether neighbouring labels have too little room, which is in characters, between their middles."""
    lengths = np.array([len(label) for label in labels])
    return bool(np.any((lengths[1:] + lengths[:-1]) / 2 + 1 > rooms))


def _bars(places: Floats, shares: Floats, width: float, color: str, label: str) -> PolyCollection:
    """All bars as one artist: drawing one each takes ten times as long."""
    from matplotlib.collections import PolyCollection

    left, right, top, foot = places - width / 2, places + width / 2, shares * 100, np.zeros_like(shares)
    corners = [np.column_stack(side) for side in ((left, foot), (left, top), (right, top), (right, foot))]
    return PolyCollection(list(np.stack(corners, axis=1)), facecolor=color, label=label)


def _ticks(bars: Bars) -> list[int]:
    """Which bars get a label: all, or of ranges every third start, and the missing."""
    bars_of_values = [bar for bar, label in enumerate(bars.labels) if label != "missing"]
    missing = len(bars_of_values) < len(bars.labels)
    shown = bars_of_values[1::3] if bars.is_range and len(bars_of_values) > 2 else bars_of_values
    return shown + [len(bars.labels) - 1] * missing


def _text(title: str, note: str, bars: Bars) -> str:
    labels = [_shortened(label, 14) for label in bars.labels]
    width = max(map(len, labels))
    top = max(bars.reference.max(), bars.window.max(), 1e-12)
    head = f"{'':{width}}  {'reference':<{TEXT_BAR + 7}}  window"
    lines = [
        f"{label:>{width}}  {_side(reference, top):<{TEXT_BAR + 7}}  {_side(window, top)}".rstrip()
        for label, reference, window in zip(labels, bars.reference, bars.window, strict=True)
    ]
    return "\n".join([f"{_shortened(title, 64)}  ({note})", head, *lines])


def _side(share: float, top: float) -> str:
    """The percentage, and a bar in eighths of a character."""
    eighths = round(share / top * TEXT_BAR * 8)
    bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
    return f"{share * 100:5.1f}% {bar}"


def _shortened(label: str, length: int) -> str:
    return label if len(label) <= length else label[: length - 1] + "…"
