"""What the demo comes to: a table a month, a picture, and a file for machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from deployments.demo.replay import LAST_FEEDBACK, PIPELINE
from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.lake import sql
from flywheel.lake.duck import connect
from flywheel.metadata.schema import DriftCheck, Retraining
from flywheel.records.encode import encode
from flywheel.serving.scoring import score
from flywheel.training.evaluate import score_metrics
from flywheel.workspace import Workspace

_LOCAL = "America/New_York"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Say = Callable[[str], None]


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


def write_report(workspace: Workspace, folder: Path, seconds: float, say: Say) -> None:
    """Print the table, and write ``report.json`` and ``report.png`` to ``folder``."""
    context = open_pipeline(workspace, PIPELINE, Connections())
    report = make_report(context, seconds)
    print_table(report, Console(width=100))
    (folder / "report.json").write_text(_to_json(report))
    draw(report, folder / "report.png")
    say(f"{report.retrains} retrains that drift chose, {seconds:.0f} s in all")


def make_report(context: PipelineContext, seconds: float) -> Report:
    """Compare, month by month, what the flywheel predicted with what January's model would have."""
    rows = _scored_rows(context)
    checks = _months_of(context, DriftCheck.as_of, DriftCheck.outcome == "drift")
    asked_for_by_drift = Retraining.key.in_(select(DriftCheck.id))
    retrains = _months_of(context, Retraining.as_of, asked_for_by_drift)
    months = [
        _month(rows.filter(pl.col("month") == number), number, checks.count(number), retrains.count(number))
        for number in range(2, 13)
    ]
    return Report(
        flywheel=_mean([month.flywheel for month in months]),
        frozen=_mean([month.frozen for month in months]),
        retrains=len(retrains),
        seconds=round(seconds, 1),
        months=months,
    )


def _scored_rows(context: PipelineContext) -> pl.DataFrame:
    """Every prediction with its local month, its winning label's truth, and both models' scores."""
    tables = context.tables
    with connect() as connection:
        tables.labels.attach(connection, "labels", tables.labels.files())
        connection.execute(sql.load("resolve_labels"), {"as_of": LAST_FEEDBACK, "min_confidence": 0.0})
        labels = pl.DataFrame(connection.sql("FROM winning_labels").to_arrow_table())
    rows = tables.predictions.read(tables.predictions.files()).join(
        labels.select("prediction_id", "label"), on="prediction_id", how="left"
    )
    first = context.registry.load(context.pipeline.inference.model_id, 1)
    card = first.registered.card
    probabilities = score(first.model, card, encode(rows, card.encoding))["probabilities"]
    return rows.select(
        month=pl.col("event_time").dt.convert_time_zone(_LOCAL).dt.month(),
        late=pl.col("label") == card.target,
        flywheel=pl.col(context.pipeline.inference.output_field).struct.field("score"),
        frozen=pl.Series(probabilities[:, card.classes.index(card.target or "")]),
    )


def _month(rows: pl.DataFrame, number: int, drift: int, retrains: int) -> Month:
    labelled = rows.filter(pl.col("late").is_not_null(), pl.col("flywheel").is_not_null())
    return Month(
        month=_MONTHS[number - 1],
        flights=rows.height,
        labelled=round(labelled.height / rows.height, 4),
        frozen=_figures(labelled, "frozen"),
        flywheel=_figures(labelled, "flywheel"),
        drift=drift,
        retrains=retrains,
    )


def _figures(rows: pl.DataFrame, model: str) -> Figures:
    metrics = score_metrics(rows["late"].to_numpy(), rows[model].to_numpy(), np.ones(rows.height))
    return Figures(round(metrics["auc"], 4), round(metrics["log_loss"], 4))


def _mean(figures: Sequence[Figures]) -> Figures:
    return Figures(round(fmean(f.auc for f in figures), 4), round(fmean(f.log_loss for f in figures), 4))


def _months_of(
    context: PipelineContext, times: InstrumentedAttribute[datetime], *which: ColumnElement[bool]
) -> list[int]:
    """The local months of some rows of the metadata. What was decided at midnight belongs to the day that ended."""
    with context.database.session() as session:
        found = session.scalars(select(times).where(*which)).all()
    return [(when - timedelta(seconds=1)).astimezone(ZoneInfo(_LOCAL)).month for when in found]


def print_table(report: Report, console: Console) -> None:
    """Print the report as a table, a line a month."""
    table = Table(title="The loop on the flights of 2013: lands more than 30 minutes late?")
    for name in ("month", "flights", "labelled", "AUC frozen", "AUC flywheel", "log loss frozen", "log loss flywheel"):
        table.add_column(name, justify="left" if name == "month" else "right")
    table.add_column("drift", justify="right")
    table.add_column("retrains", justify="right")
    for month in report.months:
        table.add_row(
            *_cells(month.month, f"{month.flights:,}", f"{month.labelled:.1%}", month, month.drift, month.retrains)
        )
    table.add_section()
    flights = sum(month.flights for month in report.months)
    drift = sum(month.drift for month in report.months)
    table.add_row(*_cells("mean", f"{flights:,}", "", report, drift, report.retrains), style="bold")
    console.print(table)


def _cells(name: str, flights: str, labelled: str, both: Month | Report, drift: int, retrains: int) -> list[str]:
    frozen, flywheel = both.frozen, both.flywheel
    figures = [frozen.auc, flywheel.auc, frozen.log_loss, flywheel.log_loss]
    return [name, flights, labelled, *(f"{figure:.3f}" for figure in figures), str(drift), str(retrains)]


def draw(report: Report, path: Path) -> None:
    """Draw both models' AUC and log loss a month, and the retrains."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    months = [month.month for month in report.months]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, name, title in zip(
        axes, ("auc", "log_loss"), ("AUC (higher is better)", "log loss (lower is better)"), strict=True
    ):
        frozen = [getattr(month.frozen, name) for month in report.months]
        flywheel = [getattr(month.flywheel, name) for month in report.months]
        axis.plot(
            months,
            frozen,
            color="#9aa0a6",
            marker="o",
            label=f"frozen January model, mean {getattr(report.frozen, name):.3f}",
        )
        axis.plot(
            months, flywheel, color="#1a73e8", marker="o", label=f"flywheel, mean {getattr(report.flywheel, name):.3f}"
        )
        for position, month in enumerate(report.months):
            if month.retrains:
                axis.axvline(position, color="#f9ab00", alpha=0.4, zorder=0, label=None)
        axis.set_title(title)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    figure.suptitle("Flights of 2013, will one land more than 30 minutes late? Vertical lines: months with a retrain")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _to_json(report: Report) -> str:
    return json.dumps(asdict(report), indent=2) + "\n"
