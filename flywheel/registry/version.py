"""A registered model version and the entries of its history, as the metadata database holds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from flywheel.metadata.schema import ModelEvent, ModelVersion
from flywheel.registry.card import ModelCard

Status = Literal["candidate", "champion", "archived", "rejected"]


@dataclass(frozen=True)
class RegisteredModel:
    """One version of a model.

    Attributes
    ----------
    uri
        The model file, relative to the registry's root, so that a lake can be moved as a whole.
    sha256
        What the file must hash to before it is loaded.
    metrics
        The evaluation that the version was registered with, e.g. ``{"auc": 0.73}``.
    """

    model_id: str
    version: int
    pipeline: str
    training_key: str
    status: Status
    uri: str
    sha256: str
    card: ModelCard
    metrics: dict[str, float]
    created_at: datetime

    @classmethod
    def of(cls, row: ModelVersion) -> RegisteredModel:
        return cls(
            model_id=row.model_id,
            version=row.version,
            pipeline=row.pipeline,
            training_key=row.training_key,
            status=cast("Status", row.status),
            uri=row.uri,
            sha256=row.sha256,
            card=ModelCard.model_validate(row.card),
            metrics=row.metrics,
            created_at=row.created_at,
        )

    def __str__(self) -> str:
        return f"{self.model_id} version {self.version}"


@dataclass(frozen=True)
class HistoryEntry:
    """Something that happened to a version: registered, evaluated, promoted, archived or rejected."""

    model_id: str
    version: int
    event: str
    reason: str
    details: dict[str, Any]
    as_of: datetime
    recorded_at: datetime

    @classmethod
    def of(cls, row: ModelEvent) -> HistoryEntry:
        return cls(row.model_id, row.version, row.event, row.reason, row.details, row.as_of, row.recorded_at)
