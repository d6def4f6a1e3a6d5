"""Exports a pipeline's labelled rows as they were known at a logical time."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError

from flywheel.context import PipelineContext
from flywheel.export.manifest import ExportManifest, Lineage
from flywheel.export.publish import ExportTarget, publish_export
from flywheel.export.sample import export_config, logged_columns, select_training_rows
from flywheel.export.write import find_export
from flywheel.lake.duck import connect
from flywheel.metadata.schema import Export


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
        _note(context, published, target)
    return published


def publish_labelled_rows(context: PipelineContext, target: ExportTarget, as_of: datetime) -> ExportManifest | None:
    """Publish the labelled rows known at ``as_of`` to ``target``; None when there are none. Metadata takes no note."""
    tables = context.tables
    predictions_version, labels_version = tables.predictions.version(), tables.labels.version()
    if predictions_version is None or labels_version is None:
        return None
    with connect() as connection:
        columns = logged_columns(context.pipeline)
        tables.predictions.attach(connection, "predictions", tables.predictions.files(predictions_version), columns)
        tables.labels.attach(connection, "labels", tables.labels.files(labels_version))
        rows = select_training_rows(connection, context.pipeline, as_of)
    if rows.is_empty():
        return None
    lineage = Lineage(
        pipeline=context.name,
        revision=context.revision,
        as_of=as_of,
        predictions_version=predictions_version,
        labels_version=labels_version,
    )
    return publish_export(rows, context.pipeline, target, lineage, context.storage)


def _note(context: PipelineContext, export: ExportManifest, target: ExportTarget) -> None:
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
