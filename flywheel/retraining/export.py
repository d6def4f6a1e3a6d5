"""Exports a pipeline's labelled rows as they were known at a logical time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
from sqlalchemy.exc import IntegrityError

from flywheel.context import PipelineContext
from flywheel.export.manifest import ExportManifest, Lineage
from flywheel.export.publish import ExportTarget, publish_export
from flywheel.export.sample import export_config, select_training_rows
from flywheel.export.write import find_export
from flywheel.lake.trouble import reaching
from flywheel.metadata.schema import Export


@dataclass(frozen=True)
class LabelledRows:
    """The rows of an export, as they were known at ``as_of`` in these versions of the tables."""

    rows: pl.DataFrame
    as_of: datetime
    predictions_version: int
    labels_version: int


def export_target(context: PipelineContext, key: str) -> ExportTarget:
    """Return where the export called ``key`` goes: the manifest's destination, else a folder of the lake."""
    destination = export_config(context.pipeline).destination_uri or context.folder("exports")
    docs = f"{context.workspace.lake.rstrip('/')}/exports/{key}/data_docs"
    return ExportTarget(id=key, destination_uri=destination, docs_uri=docs)


def export_training(context: PipelineContext, key: str, as_of: datetime) -> ExportManifest | None:
    """Publish the labelled rows known at ``as_of``; None when there are none. The same key is exported once.

    Raises
    ------
    ExportGateError
        The rows are not what the manifest promises; nothing is published, and the report says what is wrong.
    """
    target = export_target(context, key)
    published = find_export(context.storage, target.folder)
    if published is None:
        published = publish_labelled_rows(context, target, as_of)
    if published is not None:
        note_export(context, published, target)
    return published


def publish_labelled_rows(context: PipelineContext, target: ExportTarget, as_of: datetime) -> ExportManifest | None:
    """Publish the labelled rows known at ``as_of`` to ``target``; None when there are none. Metadata takes no note."""
    tables = context.tables
    predictions_version, labels_version = tables.predictions.version(), tables.labels.version()
    if predictions_version is None or labels_version is None:
        return None
    with reaching(tables.predictions.location):
        rows = select_training_rows(
            tables.predictions.scan(tables.predictions.files(predictions_version)),
            tables.labels.scan(tables.labels.files(labels_version)),
            context.pipeline,
            as_of,
        )
    return publish_rows(context, target, LabelledRows(rows, as_of, predictions_version, labels_version))


def publish_rows(context: PipelineContext, target: ExportTarget, selected: LabelledRows) -> ExportManifest | None:
    """Publish rows to ``target``; None when there are none. Metadata takes no note."""
    if selected.rows.is_empty():
        return None
    lineage = Lineage(
        pipeline=context.name,
        revision=context.revision,
        as_of=selected.as_of,
        predictions_version=selected.predictions_version,
        labels_version=selected.labels_version,
    )
    return publish_export(selected.rows, context.pipeline, target, lineage, context.storage)


def note_export(context: PipelineContext, export: ExportManifest, target: ExportTarget) -> None:
    """Remember an export in the metadata; a second note changes nothing."""
    row = Export(
        id=export.id,
        pipeline=context.name,
        as_of=export.lineage.as_of,
        uri=target.folder,
        rows=export.rows,
        manifest=export.model_dump(mode="json"),
        created_at=datetime.now(UTC),
    )
    try:
        with context.database.session() as session:
            session.add(row)
    except IntegrityError:
        return
