"""Exports a log that is large for one process: rows are selected by dates, each part by a process of its own.

A part is selected from the table versions that all parts are pinned to, and waits in the lake as a file. Which rows are
kept depends on their own keys and labels, and a prediction's labels have its date, so the parts one after the other are
the export's rows in their order. A reservoir is a choice among all rows, and is not taken apart.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import polars as pl

from flywheel.context import PipelineContext, at
from flywheel.errors import FlywheelError
from flywheel.export.manifest import ExportManifest
from flywheel.export.sample import export_config, one_row_an_id, select_training_rows
from flywheel.export.write import find_export
from flywheel.lake.delta import open_table
from flywheel.lake.trouble import reaching
from flywheel.retraining.export import LabelledRows, export_target, note_export, publish_rows

# Predictions that a process reads at once.
_MOST_ROWS = 2_000_000


@dataclass(frozen=True)
class ExportPart:
    """The predictions of ``first`` to ``last``, as the tables of these versions have them, for the export ``key``."""

    key: str
    as_of: datetime
    revision: int
    predictions_version: int
    labels_version: int
    first: date
    last: date


def find_parts(context: PipelineContext, key: str, as_of: datetime) -> list[ExportPart]:
    """Return the parts of the export called ``key``; none where it is there already, or is not to be taken apart."""
    predictions, labels = context.tables.predictions, context.tables.labels
    table, labels_version = open_table(predictions.location), labels.version()
    is_whole = export_config(context.pipeline).sampling.strategy == "reservoir"
    if table is None or labels_version is None or is_whole:
        return []
    if find_export(context.storage, export_target(context, key).folder) is not None:
        return []
    with reaching(predictions.location):
        files = pl.DataFrame(table.get_add_actions(flatten=True))
    by_date = files.group_by(date="partition.date").agg(pl.col("num_records").sum()).sort("date")
    numbered = by_date.with_columns(part=(pl.col("num_records").cum_sum() - 1) // _MOST_ROWS)
    dates = [
        [day for _, day in found] for _, found in groupby(numbered.select("part", "date").rows(), lambda row: row[0])
    ]
    pinned = (key, as_of, context.revision, table.version(), labels_version)
    return [ExportPart(*pinned, first=found[0], last=found[-1]) for found in dates] if len(dates) > 1 else []


def select_part(context: PipelineContext, part: ExportPart) -> int:
    """Select the rows of a part, store them, and return how many there are."""
    predictions, labels = context.tables.predictions, context.tables.labels
    dates = (part.first, part.last)
    with reaching(predictions.location):
        rows = select_training_rows(
            predictions.scan(predictions.files(part.predictions_version, dates)),
            labels.scan(labels.files(part.labels_version, dates)),
            context.pipeline,
            part.as_of,
        )
    buffer = io.BytesIO()
    rows.write_ipc(buffer, compression="lz4")
    context.storage.write(_uri(context, part), buffer.getvalue())
    return rows.height


def publish_parts(context: PipelineContext, parts: list[ExportPart]) -> ExportManifest | None:
    """Publish what was selected; None when there is nothing.

    Raises
    ------
    ExportGateError
        The rows are not what the manifest promises; nothing is published.
    """
    target = export_target(context, parts[0].key)
    published = find_export(context.storage, target.folder) or publish_rows(context, target, _read(context, parts))
    if published is not None:
        note_export(context, published, target)
    for part in parts:
        context.storage.delete(_uri(context, part))
    return published


def _read(context: PipelineContext, parts: list[ExportPart]) -> LabelledRows:
    first = parts[0]
    try:
        files = [pl.read_ipc(io.BytesIO(context.storage.read_bytes(_uri(context, part)))) for part in parts]
    except FileNotFoundError as error:
        raise FlywheelError(
            f"a part of export {first.key!r} is gone: {error}",
            state="another run of the same export has published it, or is about to",
            next_step=f"flywheel run export-training -p {context.name} --as-of {at(first.as_of)}",
        ) from error
    rows = one_row_an_id(pl.concat(files))
    return LabelledRows(rows, first.as_of, first.predictions_version, first.labels_version)


def _uri(context: PipelineContext, part: ExportPart) -> str:
    versions = f"{part.revision}-{part.predictions_version}-{part.labels_version}"
    return context.folder("export-parts", part.key, versions, f"{part.first}.arrow")
