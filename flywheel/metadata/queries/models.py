"""Models, their versions, and how two versions differ."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from flywheel.errors import not_found
from flywheel.metadata.database import Database
from flywheel.metadata.schema import ModelEvent, ModelVersion

SMALLER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})


@dataclass(frozen=True)
class ModelSummary:
    """A model: how many versions it has, and the one in production."""

    model_id: str
    pipeline: str
    versions: int
    newest: int
    champion: int | None
    champion_since: datetime | None
    metrics: dict[str, float]


@dataclass(frozen=True)
class ModelDetails:
    """One version of a model: its file, its card and the evaluation it was registered with."""

    model_id: str
    version: int
    pipeline: str
    status: str
    created_at: datetime
    training_key: str
    uri: str
    sha256: str
    metrics: dict[str, float]
    card: dict[str, Any]


@dataclass(frozen=True)
class ModelHappening:
    """An entry of a model's append-only history."""

    model_id: str
    version: int
    event: str
    as_of: datetime
    recorded_at: datetime
    reason: str
    details: dict[str, Any]


@dataclass(frozen=True)
class MetricComparison:
    """A metric of two versions; ``better`` names the version that is ahead, None where neither is or one lacks it."""

    metric: str
    first: float | None
    second: float | None
    better: int | None


@dataclass(frozen=True)
class Comparison:
    """Two versions of a model, each with the evaluation it was registered with (their hold-outs may differ)."""

    first: ModelDetails
    second: ModelDetails
    metrics: list[MetricComparison]


def model_ids(database: Database) -> list[str]:
    """Return the ids of the models that have a version."""
    with database.session() as session:
        return list(session.scalars(select(ModelVersion.model_id).distinct().order_by(ModelVersion.model_id)))


def list_models(database: Database) -> list[ModelSummary]:
    """Return every model that has a version, by name."""
    return [_summarise(database, model_id) for model_id in model_ids(database)]


def model_details(database: Database, model_id: str, version: int | None) -> ModelDetails:
    """Return a version; by default the champion, or the newest where there is none yet."""
    with database.session() as session:
        rows = list(session.scalars(select(ModelVersion).filter_by(model_id=model_id).order_by(ModelVersion.version)))
    if not rows:
        raise not_found("model", model_id, model_ids(database), next_step="flywheel model list")
    if version is None:
        return _details(next((row for row in rows if row.status == "champion"), rows[-1]))
    for row in rows:
        if row.version == version:
            return _details(row)
    numbers = [str(row.version) for row in rows]
    raise not_found(f"version of {model_id}", str(version), numbers, next_step=f"flywheel model history {model_id}")


def model_history(database: Database, model_id: str) -> list[ModelHappening]:
    """Return what happened to a model's versions, oldest first."""
    model_details(database, model_id, None)
    with database.session() as session:
        rows = session.scalars(select(ModelEvent).filter_by(model_id=model_id).order_by(ModelEvent.id)).all()
    return [
        ModelHappening(row.model_id, row.version, row.event, row.as_of, row.recorded_at, row.reason, row.details)
        for row in rows
    ]


def compare_versions(database: Database, model_id: str, first: int, second: int) -> Comparison:
    """Return two versions of a model and their metrics side by side."""
    one, other = (model_details(database, model_id, version) for version in (first, second))
    names = list(dict.fromkeys([*one.metrics, *other.metrics]))
    return Comparison(one, other, [_compare(name, one, other) for name in names])


def _compare(name: str, one: ModelDetails, other: ModelDetails) -> MetricComparison:
    first, second = one.metrics.get(name), other.metrics.get(name)
    if first is None or second is None or first == second:
        return MetricComparison(name, first, second, None)
    first_is_better = (first < second) == (name in SMALLER_IS_BETTER)
    return MetricComparison(name, first, second, one.version if first_is_better else other.version)


def _summarise(database: Database, model_id: str) -> ModelSummary:
    counted = select(func.count(), func.max(ModelVersion.version)).where(ModelVersion.model_id == model_id)
    promoted = (
        select(ModelEvent.as_of).filter_by(model_id=model_id, event="promoted").order_by(ModelEvent.id.desc()).limit(1)
    )
    shown = model_details(database, model_id, None)
    with database.session() as session:
        versions, newest = session.execute(counted).one()
        since = session.scalar(promoted)
    is_champion = shown.status == "champion"
    return ModelSummary(
        model_id=model_id,
        pipeline=shown.pipeline,
        versions=versions,
        newest=newest,
        champion=shown.version if is_champion else None,
        champion_since=since if is_champion else None,
        metrics=shown.metrics if is_champion else {},
    )


def _details(row: ModelVersion) -> ModelDetails:
    return ModelDetails(
        model_id=row.model_id,
        version=row.version,
        pipeline=row.pipeline,
        status=row.status,
        created_at=row.created_at,
        training_key=row.training_key,
        uri=row.uri,
        sha256=row.sha256,
        metrics=row.metrics,
        card=row.card,
    )
