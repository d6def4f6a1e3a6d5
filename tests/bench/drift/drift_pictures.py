"""Pictures of docs/drift.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from drift_blocks import BONFERRONI, EVIDENTLY, NANNYML, OURS
from drift_detection import Cell
from drift_sizes import FalseAlarms
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, QUIET, LINE = "#22303c", "#6b7885", "#e8ecf0"
COLOURS = {OURS: "#d1495b", BONFERRONI: "#30638e", EVIDENTLY: "#edae49", NANNYML: "#5d8a66"}
MARKS = {OURS: "o", BONFERRONI: "s", EVIDENTLY: "D", NANNYML: "^"}
NAMES = {OURS: OURS, BONFERRONI: "scipy KS, Bonferroni", EVIDENTLY: "Evidently", NANNYML: "NannyML"}


def draw_delays(path: Path, cells: Sequence[Cell]) -> None:
    """Mean delay by shift and tool as a share of the horizon: left is soon, right is never."""
    shifts = list(dict.fromkeys(cell.shift for cell in cells))
    tools = [tool for tool in COLOURS if any(cell.tool == tool for cell in cells)]
    figure = Figure(figsize=(9, 0.38 * len(shifts) + 1.6), dpi=110, layout="constrained")
    axis = figure.add_subplot()
    places = {shift: len(shifts) - 1 - place for place, shift in enumerate(shifts)}
    axis.barh(list(places.values()), 100, height=0.62, color="#f5f7f9")
    for tool in reversed(tools):
        own = [cell for cell in cells if cell.tool == tool]
        axis.scatter(
            [100 * cell.delay / cell.horizon for cell in own],
            [places[cell.shift] for cell in own],
            s=64 if tool == OURS else 40,
            marker=MARKS[tool],
            color=COLOURS[tool],
            label=NAMES[tool],
            zorder=4 if tool == OURS else 3,
            alpha=0.95,
        )
    axis.set_yticks(list(places.values()), list(places))
    axis.set_xlim(0, 102)
    axis.set_ylim(-0.6, len(shifts) - 0.4)
    axis.xaxis.set_major_formatter("{x:g}%")
    axis.set_xlabel("mean delay, as a share of the checks watched; every tool at the same false-alarm rate")
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(
        handles[::-1], labels[::-1], loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, labelcolor=INK
    )
    _plain(axis)
    axis.grid(axis="x", color=LINE, linewidth=0.8)
    figure.savefig(path, facecolor="white", metadata={"Software": None})


def draw_sizes(path: Path, sizes: Sequence[FalseAlarms], alpha: float) -> None:
    """False alarms by number of rows."""
    figure = Figure(figsize=(6.4, 3.6), dpi=110, layout="constrained")
    axis = figure.add_subplot()
    places = np.arange(len(sizes))
    axis.bar(places - 0.2, [100 * each.plain for each in sizes], 0.38, color=COLOURS[BONFERRONI], label="PSI > 0.1")
    axis.bar(places + 0.2, [100 * each.ours for each in sizes], 0.38, color=COLOURS[OURS], label="Flywheel")
    axis.axhline(100 * alpha, color=QUIET, linewidth=1, linestyle="--", label="the budget: 1 per 30d, checked daily")
    for place, each in enumerate(sizes):
        for side, share in ((-0.2, each.plain), (0.2, each.ours)):
            axis.annotate(
                f"{share:.1%}",
                (place + side, 100 * share),
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=INK,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )
    axis.set_xticks(places, [f"{each.rows:,} rows" for each in sizes])
    axis.set_ylabel("windows with a false alarm", color=QUIET)
    axis.yaxis.set_major_formatter("{x:g}%")
    axis.set_ylim(0, 108 * max(max(each.plain, each.ours) for each in sizes))
    axis.legend(frameon=False, labelcolor=INK)
    _plain(axis)
    axis.grid(axis="y", color=LINE, linewidth=0.8)
    figure.savefig(path, facecolor="white", metadata={"Software": None})


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color("#b6c0ca")
    axis.tick_params(length=0, labelcolor=INK)
    axis.xaxis.label.set_color(QUIET)
    axis.set_axisbelow(True)
