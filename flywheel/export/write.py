"""Writes an export as partitioned Parquet. It exists once its manifest does, which is written last.

The bytes depend on the rows only, so that a run killed anywhere and run again leaves the same files.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from urllib.parse import quote

import polars as pl

from flywheel.errors import FlywheelError
from flywheel.export.manifest import (
    MANIFEST_FILE,
    Column,
    ExportFile,
    ExportManifest,
    LabelCount,
    Lineage,
    PartitionValue,
)
from flywheel.lake.storage import StorageMap
from flywheel.manifest.training import ExportConfig

# What Hive, Spark, DuckDB and Polars take for a missing partition value.
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_LONGEST_PARTITION = 200
# Of zstd: three makes numbers no smaller, and takes half as long again.
_LEVEL = 1


def find_export(storage: StorageMap, folder: str) -> ExportManifest | None:
    """Return the manifest of the export in ``folder``, or None where none has been published."""
    if not any(file.path == MANIFEST_FILE for file in storage.list_files(folder)):
        return None
    return ExportManifest.from_json(storage.read_bytes(f"{folder}/{MANIFEST_FILE}"))


def write_export(
    storage: StorageMap, folder: str, rows: pl.DataFrame, config: ExportConfig, export_id: str, lineage: Lineage
) -> ExportManifest:
    """Write ``rows`` to ``folder`` and publish them.

    Readers that look for ``_export.json`` see the whole export or none. Files that an earlier, killed attempt left
    behind are overwritten or removed.
    """
    files = [_write_file(storage, folder, part, partition) for partition, part in _partitions(rows, config)]
    manifest = _describe(rows, files, config, export_id, lineage)
    _remove_leftovers(storage, folder, manifest)
    if not storage.write_once(f"{folder}/{MANIFEST_FILE}", manifest.to_json()):
        return _same_as_published(storage, folder, manifest)
    return manifest


def require_same_origin(published: ExportManifest, lineage: Lineage, config: ExportConfig) -> None:
    """Raise FlywheelError if the export that has the id already was made of something else."""
    if published.lineage != lineage or published.sampling != config.sampling:
        raise FlywheelError(
            f"export {published.id!r} has been published already, from {_origin(published.lineage)}; "
            f"this one is from {_origin(lineage)}",
            state="the published one stays as it is",
            next_step="export again under another id",
        )


def _origin(lineage: Lineage) -> str:
    return f"{lineage.pipeline} revision {lineage.revision} at {lineage.as_of.isoformat()}"


def _same_as_published(storage: StorageMap, folder: str, manifest: ExportManifest) -> ExportManifest:
    """Another run published this id between our look and our writing."""
    published = find_export(storage, folder)
    if published != manifest:
        raise FlywheelError(
            f"another run published export {manifest.id!r} with other rows at the same time: {folder}",
            state="its manifest is there, but files of both runs may be",
            next_step="delete the folder and export again, with one run at a time",
        )
    return manifest


def _partitions(rows: pl.DataFrame, config: ExportConfig) -> Iterator[tuple[list[PartitionValue], pl.DataFrame]]:
    names = list(config.partition_by)
    if not names:
        yield [], rows
        return
    dated = rows.with_columns(date=pl.col("event_time").dt.date())
    parts = dated.partition_by(names, as_dict=True, include_key=True, maintain_order=True)
    for values, part in sorted(parts.items(), key=lambda item: [str(value) for value in item[0]]):
        texts = [None if value is None else str(value) for value in values]
        partition = [PartitionValue(column=name, value=text) for name, text in zip(names, texts, strict=True)]
        yield partition, part.drop("date", *names, strict=False)


def _write_file(storage: StorageMap, folder: str, rows: pl.DataFrame, partition: list[PartitionValue]) -> ExportFile:
    buffer = io.BytesIO()
    rows.rechunk().write_parquet(buffer, compression="zstd", compression_level=_LEVEL)
    data = buffer.getvalue()
    path = "/".join([*(f"{part.column}={_path_text(part.value)}" for part in partition), "part-0.parquet"])
    storage.write(f"{folder}/{path}", data)
    sha256 = hashlib.sha256(data).hexdigest()
    return ExportFile(path=path, rows=rows.height, bytes=len(data), sha256=sha256, partition=partition)


def _path_text(value: str | None) -> str:
    if value is None:
        return _NULL_PARTITION
    text = quote(value, safe="")
    if len(text) <= _LONGEST_PARTITION:
        return text
    # File systems take 255 bytes; the whole value is in the export's manifest.
    return f"{text[:_LONGEST_PARTITION]}~{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def _describe(
    rows: pl.DataFrame, files: list[ExportFile], config: ExportConfig, export_id: str, lineage: Lineage
) -> ExportManifest:
    labels = _count_labels(rows)
    return ExportManifest(
        id=export_id,
        lineage=lineage,
        sampling=config.sampling,
        min_confidence=config.min_confidence,
        partition_by=list(config.partition_by),
        model_versions=rows["model_version"].drop_nulls().unique().sort().to_list(),
        columns=[Column(name=name, type=str(dtype)) for name, dtype in rows.schema.items()],
        rows=rows.height,
        weight=math.fsum(label.weight for label in labels),
        labels=labels,
        files=files,
    )


def _count_labels(rows: pl.DataFrame) -> list[LabelCount]:
    """Count by weight first: there are few, so that the sums do not depend on the order a machine adds in."""
    counts = rows.group_by("label", "weight").agg(rows=pl.len()).sort("label", "weight")
    return [
        LabelCount(
            label=str(label),
            rows=part["rows"].sum(),
            weight=math.fsum(weight * count for weight, count in part.select("weight", "rows").iter_rows()),
        )
        for (label,), part in counts.partition_by("label", as_dict=True, maintain_order=True).items()
    ]


def _remove_leftovers(storage: StorageMap, folder: str, manifest: ExportManifest) -> None:
    ours = {file.path for file in manifest.files}
    for found in storage.list_files(folder):
        if found.path not in ours and found.path != MANIFEST_FILE:
            storage.delete(f"{folder}/{found.path}")
