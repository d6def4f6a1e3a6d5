"""Pipelines as they were applied: numbered revisions, and the documents beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flywheel.errors import not_found
from flywheel.manifest.load import resolve_pipeline
from flywheel.manifest.pipeline import Pipeline
from flywheel.metadata.database import Database
from flywheel.metadata.schema import Connection, PipelineRevision

_TRAINING_SEPARATOR = "\n---\n# flywheel: the Training document\n"


@dataclass(frozen=True)
class Revision:
    """One applied revision of a pipeline."""

    number: int
    pipeline: Pipeline


class Revisions:
    """The pipelines and connections of a workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(self, name: str, manifest: str, training: str | None) -> bool:
        """Store a new revision unless the newest one says the same; return whether it did."""
        text = manifest + (_TRAINING_SEPARATOR + training if training else "")
        digest = hashlib.sha256(text.encode()).hexdigest()
        return _again_after_others(lambda: self._apply(name, text, digest))

    def _apply(self, name: str, text: str, digest: str) -> bool:
        with self._database.session() as session:
            newest = self._newest(session, name)
            if newest and newest.digest == digest and not newest.deleted:
                return False
            session.add(
                PipelineRevision(
                    pipeline=name,
                    revision=newest.revision + 1 if newest else 1,
                    manifest=text,
                    digest=digest,
                    applied_at=datetime.now(UTC),
                    deleted=False,
                )
            )
        return True

    def delete(self, name: str) -> None:
        """Take a pipeline out of service; its history and tables stay."""
        with self._database.session() as session:
            newest = self._newest(session, name)
            if newest is None or newest.deleted:
                raise not_found("pipeline", name, self.names(), next_step="flywheel get pipelines")
            newest.deleted = True

    def names(self) -> list[str]:
        """Return the names of the pipelines in service."""
        with self._database.session() as session:
            names = session.scalars(select(PipelineRevision.pipeline).distinct().order_by(PipelineRevision.pipeline))
            newest = [self._newest(session, name) for name in names.all()]
            return [row.pipeline for row in newest if row and not row.deleted]

    def current(self, name: str) -> Revision:
        """Return the newest revision of a pipeline."""
        with self._database.session() as session:
            row = self._newest(session, name)
        if row is None or row.deleted:
            raise not_found("pipeline", name, self.names(), next_step="flywheel apply -f MANIFEST")
        return _parse(row)

    def get(self, name: str, number: int) -> Revision:
        """Return a revision by its number, as a planned batch pins it."""
        with self._database.session() as session:
            row = session.get(PipelineRevision, (name, number))
        if row is None:
            raise not_found(f"revision of pipeline {name}", str(number), [])
        return _parse(row)

    def save_connection(self, kind: str, name: str, spec: Mapping[str, Any]) -> bool:
        """Remember a document beside the pipelines, without its secrets; return whether anything changed."""
        return _again_after_others(lambda: self._save_connection(kind, name, spec))

    def _save_connection(self, kind: str, name: str, spec: Mapping[str, Any]) -> bool:
        with self._database.session() as session:
            row = session.get(Connection, (kind, name))
            if row is not None and row.spec == dict(spec):
                return False
            session.merge(Connection(kind=kind, name=name, spec=dict(spec), applied_at=datetime.now(UTC)))
        return True

    def forget_connection(self, kind: str, name: str) -> bool:
        """Forget a document beside the pipelines; return whether it was known."""
        with self._database.session() as session:
            row = session.get(Connection, (kind, name))
            if row is None:
                return False
            session.delete(row)
        return True

    def connections(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the specs of one kind of document, by name."""
        with self._database.session() as session:
            rows = session.scalars(select(Connection).where(Connection.kind == kind).order_by(Connection.name))
            return {row.name: row.spec for row in rows}

    @staticmethod
    def _newest(session: Any, name: str) -> PipelineRevision | None:
        return session.scalar(  # type: ignore[no-any-return]
            select(PipelineRevision)
            .where(PipelineRevision.pipeline == name)
            .order_by(PipelineRevision.revision.desc())
            .limit(1)
        )


# More processes than will ever apply the same manifest at the same moment.
_OTHERS = 20


def _again_after_others(store: Callable[[], bool]) -> bool:
    """Store; and look again when another process has stored the same row first."""
    for _ in range(_OTHERS):
        try:
            return store()
        except IntegrityError:
            continue
    return store()


def _parse(row: PipelineRevision) -> Revision:
    manifest, _, training = row.manifest.partition(_TRAINING_SEPARATOR)
    return Revision(row.revision, resolve_pipeline(manifest, training or None))
