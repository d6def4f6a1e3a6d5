"""The demo's report as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.demo.figures import Figures, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FROZEN, FLYWHEEL, RETRAIN, INK = "#8a96a3", "#d1495b", "#c98a1b", "#22303c"


def draw(report: Report, path: Path) -> None:
    """Draw both models' AUC and log loss a month, and how many retrains each month had."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), dpi=110, layout="constrained")
    auc, loss = figure.subplots(1, 2)
    _lines(auc, report, "AUC, higher is better", *_series(report, "auc"))
    _lines(loss, report, "log loss, lower is better", *_series(report, "log_loss"))
    figure.suptitle(
        f"Flights of 2013, a month at a time; {report.retrains} retrains that drift chose (dotted)",
        x=0.01,
        ha="left",
        color=INK,
        fontsize=12,
    )
    figure.savefig(path, metadata={"Software": None})


def _series(report: Report, name: str) -> tuple[list[float], list[float], str, str]:
    """A figure of both models, month by month, and the lines' labels."""

    def value(figures: Figures) -> float:
        return float(getattr(figures, name))

    frozen = [value(month.frozen) for month in report.months]
    flywheel = [value(month.flywheel) for month in report.months]
    return (
        frozen,
        flywheel,
        f"January's model, frozen: {value(report.frozen):.3f}",
        f"flywheel: {value(report.flywheel):.3f}",
    )


def _lines(
    axis: Axes, report: Report, title: str, frozen: Sequence[float], flywheel: Sequence[float], *labels: str
) -> None:
    months = [month.month for month in report.months]
    for place, month in enumerate(report.months):
        if month.retrains:
            axis.axvline(place, color=RETRAIN, linewidth=1.2, linestyle=":", zorder=0)
    axis.plot(months, frozen, color=FROZEN, marker="o", markersize=4, label=labels[0])
    axis.plot(months, flywheel, color=FLYWHEEL, marker="o", markersize=4, linewidth=2, label=labels[1])
    axis.set_title(title, loc="left", fontsize=10, color=INK)
    axis.margins(x=0.02)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
