"""Publishes training rows: through the gate, then to their destination. What fails the gate is never written there."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flywheel.errors import ExportGateError
from flywheel.export.gate import GateReport, check_rows
from flywheel.export.manifest import ExportManifest, Lineage
from flywheel.export.sample import export_config
from flywheel.export.write import find_export, require_same_origin, write_export
from flywheel.lake.storage import StorageMap
from flywheel.manifest.pipeline import Pipeline


@dataclass(frozen=True)
class ExportTarget:
    """Where an export goes.

    Attributes
    ----------
    id
        Its name, and that of its folder in the destination.
    destination_uri
        Folder of all exports of the pipeline.
    docs_uri
        Folder for the gate's report, ``index.html``; it is kept whether the gate passes or not.
    """

    id: str
    destination_uri: str
    docs_uri: str

    @property
    def folder(self) -> str:
        return f"{self.destination_uri.rstrip('/')}/{self.id}"

    @property
    def report_uri(self) -> str:
        return f"{self.docs_uri.rstrip('/')}/index.html"


def publish_export(
    rows: pl.DataFrame, pipeline: Pipeline, target: ExportTarget, lineage: Lineage, storage: StorageMap
) -> ExportManifest:
    """Check the rows and publish them under ``target.folder``; an export that is there already is left as it is.

    Parameters
    ----------
    rows
        As `select_training_rows` gives them.

    Raises
    ------
    ExportGateError
        The gate refused the rows; nothing was written to the destination.
    FlywheelError
        The id is taken by an export of other rows.
    """
    config = export_config(pipeline)
    published = find_export(storage, target.folder)
    if published is not None:
        require_same_origin(published, lineage, config)
        return published
    report = check_rows(rows, pipeline)
    storage.write(target.report_uri, report.html.encode())
    if not report.passed:
        raise _refusal(report, pipeline, target, storage)
    return write_export(storage, target.folder, rows, config, target.id, lineage)


def _refusal(report: GateReport, pipeline: Pipeline, target: ExportTarget, storage: StorageMap) -> ExportGateError:
    listing = "".join(f"\n    {failure}" for failure in report.failures)
    return ExportGateError(
        f"the gate refused export {target.id!r} of pipeline {pipeline.name!r}: "
        f"{len(report.failures)} of {report.checks} checks failed{listing}",
        state="nothing was published",
        next_step=f"look at the report, {storage.resolve(target.report_uri).uri}",
    )
