"""Reads a published export back, as the rows it was made of."""

from __future__ import annotations

import hashlib

import polars as pl

from flywheel.errors import FlywheelError, NotFoundError
from flywheel.export.manifest import MANIFEST_FILE, ExportFile, ExportManifest
from flywheel.export.write import find_export
from flywheel.lake.storage import StorageMap

_PARTITION_TYPES: dict[str, type[pl.DataType]] = {"model_version": pl.Int64}


def read_export(storage: StorageMap, folder: str) -> pl.DataFrame:
    """Return the rows of the export in ``folder`` in their order and with their types, partition columns included.

    Raises
    ------
    NotFoundError
        No export has been published there.
    FlywheelError
        A file is not the one that was published.
    """
    manifest = find_export(storage, folder)
    if manifest is None:
        raise NotFoundError(
            f"no export in {folder}: it has no {MANIFEST_FILE}", next_step="flywheel export -p NAME -o DIR"
        )
    parts = [_read_file(storage, folder, file, manifest) for file in manifest.files]
    return pl.concat(parts).sort("event_time", "prediction_id")


def _read_file(storage: StorageMap, folder: str, file: ExportFile, manifest: ExportManifest) -> pl.DataFrame:
    data = storage.read_bytes(f"{folder}/{file.path}")
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise FlywheelError(
            f"{folder}/{file.path} is not the file that export {manifest.id!r} published: its SHA-256 differs",
            state="nothing was read",
            next_step="restore the file, or export again under another id",
        )
    names = [column.name for column in manifest.columns]
    constants = [
        pl.lit(part.value).cast(_PARTITION_TYPES.get(part.column, pl.String)).alias(part.column)
        for part in file.partition
        if part.column in names
    ]
    return pl.read_parquet(data).with_columns(constants).select(names)
