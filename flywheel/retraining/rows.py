"""What a retrain learns from: the bootstrap's history and the exported labelled predictions."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flywheel.context import PipelineContext
from flywheel.errors import FlywheelError
from flywheel.export.manifest import ExportManifest
from flywheel.export.read import read_export
from flywheel.lake.tables import UTC_TIME
from flywheel.manifest.schema import record_schema
from flywheel.manifest.training import Bootstrap
from flywheel.records.prepare import needed_paths, prepare
from flywheel.records.text import as_text
from flywheel.retraining.export import export_target
from flywheel.sources.open import open_source

_MAX_BOOTSTRAP_ROWS = 10_000_000
# An isolation forest takes a few hundred rows a tree.
_MAX_UNLABELLED_ROWS = 1_000_000


def training_rows(context: PipelineContext, export: ExportManifest | None, as_of: datetime) -> pl.DataFrame:
    """Return the labelled rows: the features, ``event_time``, ``label``, ``confidence`` and ``weight``.

    ``export`` is the published export, None when nothing has been labelled yet. An anomaly detector learns what is
    usual from the rows that nobody said anything about too.
    """
    names = ["prediction_id", "event_time", *record_schema(context.pipeline).names(), "label", "confidence", "weight"]
    parts = [bootstrap_rows(context, as_of).select(names)]
    if context.pipeline.training is not None and context.pipeline.training.task == "anomaly":
        parts.append(_unlabelled_rows(context, as_of).select(names))
    if export is not None:
        parts.append(read_export(context.storage, export_target(context, export.id).folder).select(names))
    return pl.concat(parts, how="vertical_relaxed")


def bootstrap_rows(context: PipelineContext, as_of: datetime) -> pl.DataFrame:
    """Return the labelled history that the manifest's ``training.bootstrap`` names; no rows where it names none."""
    bootstrap = context.pipeline.training.bootstrap if context.pipeline.training else None
    rows = _read(context, bootstrap, as_of) if bootstrap else _no_rows(context)
    return rows.with_columns(confidence=pl.lit(1.0), weight=pl.lit(1.0))


def _unlabelled_rows(context: PipelineContext, as_of: datetime) -> pl.DataFrame:
    """Return the logged rows that no label had arrived for by ``as_of``: all of them, or a uniform sample."""
    predictions, labels = context.tables.predictions, context.tables.labels
    labelled = labels.read(labels.files(), ["prediction_id", "received_at"]).filter(pl.col("received_at") <= as_of)
    names = ["prediction_id", "event_time", "predicted_at", "sample_key", *record_schema(context.pipeline).names()]
    logged = predictions.read(predictions.files(), names).filter(pl.col("predicted_at") <= as_of)
    usual = logged.join(labelled, on="prediction_id", how="anti").sort("sample_key").head(_MAX_UNLABELLED_ROWS)
    return usual.with_columns(label=pl.lit(None, pl.String), confidence=pl.lit(1.0), weight=pl.lit(1.0))


def _read(context: PipelineContext, bootstrap: Bootstrap, as_of: datetime) -> pl.DataFrame:
    spec = context.connections.source(bootstrap.source)
    source = open_source(spec, context.storage)
    slices = source.plan({}, min(as_of, bootstrap.until or as_of), _MAX_BOOTSTRAP_ROWS)
    paths = needed_paths(context.pipeline, spec.event_time)
    label_field = bootstrap.label_field
    wanted = list(dict.fromkeys([*paths, label_field])) if label_field else paths
    records = source.read(slices, wanted)
    prepared = prepare(records, context.pipeline, spec.event_time, as_of)
    if prepared.rows.is_empty():
        raise FlywheelError(
            f"pipeline {context.name!r}: the bootstrap source {bootstrap.source!r} has no usable record"
            f"{_first_reason(prepared.quarantined)}",
            state="nothing was trained",
            next_step="check training.bootstrap and the source's files",
        )
    if label_field is None:
        return prepared.rows.with_columns(label=pl.lit(None, pl.String))
    labels = as_text(records.values[label_field]).filter(prepared.kept)
    return prepared.rows.with_columns(labels.alias("label"))


def _no_rows(context: PipelineContext) -> pl.DataFrame:
    schema = {"prediction_id": pl.String(), "event_time": UTC_TIME, **record_schema(context.pipeline)}
    return pl.DataFrame(schema={**schema, "sample_key": pl.Int64(), "label": pl.String()})


def _first_reason(quarantined: pl.DataFrame) -> str:
    return f": {quarantined['reason'][0]}" if quarantined.height else ""
