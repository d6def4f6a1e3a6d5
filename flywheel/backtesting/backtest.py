"""Tries a model version, and the drift rules of the manifest, on one past window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from flywheel.backtesting.windows import PastWindow
from flywheel.context import PipelineContext
from flywheel.drift.check import Findings, check_window
from flywheel.drift.evidence.budget import level
from flywheel.drift.profile import profile
from flywheel.drift.severity import is_drift
from flywheel.inference.answers import answers_for
from flywheel.manifest.schema import record_schema
from flywheel.monitoring.reference import find_baseline
from flywheel.performance.known import joined_by, read_rows
from flywheel.performance.truth import Task, task_of
from flywheel.performance.windows import Window
from flywheel.records.encode import encode
from flywheel.registry.card import ModelCard
from flywheel.registry.loading import LoadedModel
from flywheel.serving.scoring import score

_NAMED = 3


@dataclass(frozen=True)
class Tried:
    """What a version would have come to on a window.

    Attributes
    ----------
    rows, labelled
        Predictions that the model of then answered, and those of them that have a label.
    served, found
        Metrics of what was served, and of what the version says of the same rows, weighted by the labels' confidence.
    learned
        Whether the version learned from rows of this time: its figures flatter it then.
    drift
        What a check against the version's baseline says: ``drift``, ``no_drift``, ``not_enough_data``; empty without
        a baseline or drift detection. ``features`` are those that drifted, the worst first, three at most.
    """

    window: Window
    rows: int = 0
    labelled: int = 0
    served: Mapping[str, float] = field(default_factory=dict)
    found: Mapping[str, float] = field(default_factory=dict)
    learned: bool = False
    drift: str = ""
    features: tuple[str, ...] = ()


def backtest(context: PipelineContext, past: PastWindow) -> Tried:
    """Return what the version would have come to on a window; nothing is written."""
    window, task = past.window, task_of(context.pipeline)
    model = context.registry.load(context.pipeline.inference.model_id, past.version)
    card = model.registered.card
    served = _read(context, past)
    if served.is_empty():
        return Tried(window, learned=_learned(card, window))
    answered = served.with_columns(_answers(context, model, served).alias("output"))
    labelled = pl.col("label").is_not_null()
    findings = _check(context, past, model, answered)
    return Tried(
        window=window,
        rows=served.height,
        labelled=served.filter(labelled).height,
        served=_metrics(task, task.usable(served).filter(labelled)),
        found=_metrics(task, task.usable(answered).filter(labelled)),
        learned=_learned(card, window),
        drift=findings.outcome if findings else "",
        features=_drifted(findings) if findings else (),
    )


def _read(context: PipelineContext, past: PastWindow) -> pl.DataFrame:
    joined = joined_by(context, past.as_of)
    if joined is None:
        return pl.DataFrame()
    names = record_schema(context.pipeline).names()
    return read_rows(context, joined, (past.window.start, past.window.end), past.as_of, names)


def _answers(context: PipelineContext, model: LoadedModel, rows: pl.DataFrame) -> pl.Series:
    """Return what the version says of the rows, in the prediction's struct."""
    card = model.registered.card
    found = score(model.model, card.task, encode(rows, card.encoding))
    return answers_for(context.pipeline, card).fields(found).to_struct("output")


def _metrics(task: Task, labelled: pl.DataFrame) -> dict[str, float]:
    if labelled.is_empty():
        return {}
    measured = task.beside_truth(labelled).metrics(labelled["confidence"].to_numpy())
    return {name: float(value) for name, value in measured.items() if math.isfinite(value)}


def _check(context: PipelineContext, past: PastWindow, model: LoadedModel, answered: pl.DataFrame) -> Findings | None:
    """Check the window by itself, as if checks were as far apart as windows are long."""
    card = model.registered.card
    baseline = find_baseline(context, context.pipeline.inference.model_id, past.version)
    if context.pipeline.drift is None or baseline is None:
        return None
    config = context.pipeline.drift.weighed_by(card.importance)
    rows = answered.rename({"output": context.pipeline.inference.output_field})
    alpha = level(config.budget, past.window.end - past.window.start)
    return check_window(baseline, profile(rows, baseline), rows.height, config, alpha)


def _drifted(findings: Findings) -> tuple[str, ...]:
    return tuple(each.title for each in findings.features if is_drift(each.severity))[:_NAMED]


def _learned(card: ModelCard, window: Window) -> bool:
    if card.trained_from is None or card.trained_to is None:
        return False
    return card.trained_from < window.end and window.start <= card.trained_to
