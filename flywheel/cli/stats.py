"""``flywheel stats``: counts of predictions, feedback and training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import output
from flywheel.cli.options import AnyPipelineOption, JsonOption
from flywheel.cli.session import open_database

if TYPE_CHECKING:
    from flywheel.metadata.queries.stats import FeedbackStats, PredictionStats, TrainingStats


class Topic(StrEnum):
    predictions = "predictions"
    feedback = "feedback"
    training = "training"


@dataclass(frozen=True)
class PipelineStats:
    """Everything that is counted of a pipeline."""

    pipeline: str
    predictions: PredictionStats
    feedback: FeedbackStats
    training: TrainingStats


def stats(
    topic: Annotated[Topic | None, typer.Argument(help="Only these. Default: all.", show_default=False)] = None,
    pipeline: AnyPipelineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count predictions, feedback and training data."""
    from flywheel.metadata.queries.pipelines import select_pipelines
    from flywheel.metadata.queries.stats import feedback_stats, prediction_stats, training_stats

    database = open_database()
    found = [
        PipelineStats(
            name,
            prediction_stats(database, name),
            feedback_stats(database, name),
            training_stats(database, name),
        )
        for name in select_pipelines(database, pipeline)
    ]
    if as_json:
        output.print_json(found if topic is None else [getattr(each, topic) for each in found])
        return
    if not found:
        output.say("no pipeline is in service; next: flywheel apply -f MANIFEST")
        return
    if topic in (None, Topic.predictions):
        _print_predictions([each.predictions for each in found])
    if topic in (None, Topic.feedback):
        _print_feedback([each.feedback for each in found])
    if topic in (None, Topic.training):
        _print_training([each.training for each in found])


def _print_predictions(found: Sequence[PredictionStats]) -> None:
    numbers = ("batches", "records", "ok", "fallback", "quarantined", "rescored", "waiting")
    table = output.table("pipeline", *numbers, "up to (UTC)", title="Predictions", numbers=numbers)
    for each in found:
        output.add_row(table, each.pipeline, *(getattr(each, name) for name in numbers), each.last_as_of)
    output.console().print(table)
    for each in found:
        if each.by_model_version:
            versions = ", ".join(f"version {name} {rows:,}" for name, rows in each.by_model_version.items())
            output.say(f"{each.pipeline}, rows by model version: {versions}")
        if each.dead_letters:
            output.say(f"{each.pipeline}, dead letters among the quarantined: {each.dead_letters:,}")
        if each.waiting:
            output.say(f"{each.pipeline}, next: flywheel run rescore -p {each.pipeline}")
    output.say("")


def _print_feedback(found: Sequence[FeedbackStats]) -> None:
    numbers = ("labelled", "recovered", "waiting", "late", "orphans", "duplicates", "conflicts", "unlabelled")
    table = output.table("pipeline", *numbers, title="Feedback", numbers=numbers)
    for each in found:
        output.add_row(table, each.pipeline, *(getattr(each, name) for name in numbers))
    output.console().print(table)
    output.say("")


def _print_training(found: Sequence[TrainingStats]) -> None:
    table = output.table(
        "pipeline",
        "exports",
        "rows",
        "last export",
        "retrains",
        "outcomes",
        "model versions",
        title="Training",
        numbers=("exports", "rows", "retrains"),
    )
    for each in found:
        output.add_row(
            table,
            each.pipeline,
            each.exports,
            each.exported_rows,
            each.last_export_as_of,
            each.retrains,
            output.counts(each.retrain_outcomes),
            output.counts(each.versions),
        )
    output.console().print(table)
