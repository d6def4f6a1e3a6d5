"""What the demo comes to: a table a month, a picture, and a file for machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from rich.console import Console
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute

from deployments.demo.figures import Figures, Month, Report
from deployments.demo.picture import draw
from deployments.demo.replay import LAST_FEEDBACK, PIPELINE
from deployments.demo.table import print_table
from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.feedback.winning import winning_labels
from flywheel.metadata.schema import DriftCheck, Retraining
from flywheel.records.encode import encode
from flywheel.serving.scoring import score
from flywheel.training.evaluate import score_metrics
from flywheel.workspace import Workspace

_LOCAL = "America/New_York"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Say = Callable[[str], None]


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
    labels = winning_labels(tables.labels.scan(tables.labels.files()), LAST_FEEDBACK)
    rows = tables.predictions.read(tables.predictions.files()).join(
        labels.select("prediction_id", "label"), on="prediction_id", how="left"
    )
    first = context.registry.load(context.pipeline.inference.model_id, 1)
    card = first.registered.card
    probabilities = score(first.model, card.task, encode(rows, card.encoding))["probabilities"]
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


def _to_json(report: Report) -> str:
    return json.dumps(asdict(report), indent=2) + "\n"
