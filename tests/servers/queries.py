"""Everything that the reading commands ask, of one workspace, in a form that two workspaces can be compared by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from parcels import MODEL, NAME, Parcels, end_of

from flywheel.metadata.queries import deliveries, drift_checks, health, models, pipelines, reviews, stats

# Told by the wall clock, or by the bytes of a model file, which holds the time of its making.
_INCIDENTAL = {
    "applied_at",
    "created_at",
    "recorded_at",
    "last_committed_at",
    "last_batch_age_seconds",
    "uri",
    "sha256",
}


def answers(parcels: Parcels) -> dict[str, Any]:
    """Ask every question once."""
    database, pipeline = parcels.workspace.database(), parcels.context.pipeline
    found = {
        "undelivered": deliveries.undelivered_batches(database, pipeline),
        "latest check": drift_checks.latest_check(database, NAME),
        "checks": drift_checks.check_history(database, NAME, 10),
        "all checks": drift_checks.check_history(database, None, 2),
        "health": health.workspace_health(database, end_of(30)),
        "models": models.list_models(database),
        "champion": models.model_details(database, MODEL, None),
        "history": models.model_history(database, MODEL),
        "comparison": models.compare_versions(database, MODEL, 1, 2),
        "pipelines": pipelines.list_pipelines(database),
        "manifest": pipelines.find_pipeline(database, NAME),
        "connections": pipelines.list_connections(database),
        "reviews": reviews.list_reviews(database, pending_only=False),
        "predictions": stats.prediction_stats(database, NAME),
        "feedback": stats.feedback_stats(database, NAME),
        "training": stats.training_stats(database, NAME),
        "nothing": [ask(database, "nobody") for ask in _STATS],
    }
    return {question: _comparable(answer) for question, answer in found.items()}


_STATS = (stats.prediction_stats, stats.feedback_stats, stats.training_stats)


def _comparable(answer: Any) -> Any:
    """Turn an answer into tuples that say of each value its type too: 3 is not 3.0, nor a Decimal."""
    if is_dataclass(answer):
        return tuple(_fields(answer))
    if isinstance(answer, dict):
        return {key: _comparable(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [_comparable(each) for each in answer]
    return type(answer).__name__, answer


def _fields(answer: Any) -> Iterator[tuple[str, Any]]:
    for each in fields(answer):
        if each.name not in _INCIDENTAL:
            yield each.name, _comparable(getattr(answer, each.name))
