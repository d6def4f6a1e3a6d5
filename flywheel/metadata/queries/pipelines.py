"""What is applied: pipelines, and the documents beside them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from flywheel.errors import not_found
from flywheel.metadata.database import Database
from flywheel.metadata.schema import Connection, PipelineRevision


@dataclass(frozen=True)
class PipelineSummary:
    """A pipeline in service, at its newest revision."""

    name: str
    revision: int
    applied_at: datetime
    enabled: bool
    source: str
    model_id: str
    drift_mode: str | None
    feedback_source: str | None
    sinks: list[str]


@dataclass(frozen=True)
class ConnectionSummary:
    """A Source, Sink, ModelServer or Storage document, without its secrets."""

    kind: str
    name: str
    applied_at: datetime
    spec: dict[str, Any]


@dataclass(frozen=True)
class AppliedPipeline:
    """The newest revision of a pipeline, with its manifest as it was written."""

    name: str
    revision: int
    applied_at: datetime
    manifest: str


def pipeline_names(database: Database) -> list[str]:
    """Return the names of the pipelines in service, without reading their manifests."""
    newest = (
        select(PipelineRevision.pipeline, func.max(PipelineRevision.revision).label("revision"))
        .group_by(PipelineRevision.pipeline)
        .subquery()
    )
    in_service = (
        select(PipelineRevision.pipeline)
        .join(
            newest,
            (PipelineRevision.pipeline == newest.c.pipeline) & (PipelineRevision.revision == newest.c.revision),
        )
        .where(PipelineRevision.deleted.is_(False))
        .order_by(PipelineRevision.pipeline)
    )
    with database.session() as session:
        return list(session.scalars(in_service))


def list_pipelines(database: Database) -> list[PipelineSummary]:
    """Return the pipelines in service, by name."""
    return [_summarise(database, name) for name in pipeline_names(database)]


def find_pipeline(database: Database, name: str) -> AppliedPipeline | None:
    """Return a pipeline in service, or None."""
    newest = (
        select(PipelineRevision)
        .where(PipelineRevision.pipeline == name)
        .order_by(PipelineRevision.revision.desc())
        .limit(1)
    )
    with database.session() as session:
        row = session.scalar(newest)
    if row is None or row.deleted:
        return None
    return AppliedPipeline(row.pipeline, row.revision, row.applied_at, row.manifest)


def require_pipeline(database: Database, name: str) -> AppliedPipeline:
    """Return a pipeline in service; NotFoundError names those there are."""
    found = find_pipeline(database, name)
    if found is None:
        raise not_found("pipeline", name, pipeline_names(database), next_step="flywheel get pipelines")
    return found


def select_pipelines(database: Database, name: str | None) -> list[str]:
    """Return the one pipeline called ``name``, or all of them for None."""
    return pipeline_names(database) if name is None else [require_pipeline(database, name).name]


def list_connections(database: Database, kind: str | None = None) -> list[ConnectionSummary]:
    """Return the documents beside the pipelines, of one kind (e.g. ``Source``) or of all."""
    wanted = select(Connection).order_by(Connection.kind, Connection.name)
    with database.session() as session:
        rows = session.scalars(wanted if kind is None else wanted.where(Connection.kind == kind)).all()
    return [ConnectionSummary(row.kind, row.name, row.applied_at, row.spec) for row in rows]


def _summarise(database: Database, name: str) -> PipelineSummary:
    # Reading a manifest takes a second of imports, which the other questions can do without.
    from flywheel.metadata.revisions import Revisions

    applied = require_pipeline(database, name)
    pipeline = Revisions(database).current(name).pipeline
    return PipelineSummary(
        name=name,
        revision=applied.revision,
        applied_at=applied.applied_at,
        enabled=pipeline.spec.enabled,
        source=pipeline.spec.source,
        model_id=pipeline.inference.model_id,
        drift_mode=pipeline.drift.mode if pipeline.drift else None,
        feedback_source=pipeline.feedback.source if pipeline.feedback else None,
        sinks=[sink.name for sink in pipeline.spec.sinks],
    )
