"""Rows that ``fallback: send_to_dlq`` takes out of a batch: into quarantine, with what it takes to score them later."""

from __future__ import annotations

import numpy as np
import polars as pl

from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import record_schema
from flywheel.records.prepare import LONGEST_RECORD, Prepared
from flywheel.records.records import Records


def taken_out(records: Records, prepared: Prepared, which: pl.Series, reasons: pl.Series) -> pl.DataFrame:
    """Return the quarantine's rows for those of ``prepared.rows`` where ``which`` is true, one reason for each."""
    chosen = np.zeros(len(records), dtype=bool)
    chosen[prepared.kept.arg_true().filter(which).to_numpy()] = True
    mask = pl.Series(chosen)
    return (
        prepared.rows.filter(which)
        .select("prediction_id", "event_time")
        .with_columns(
            part=records.parts.filter(mask),
            row=records.rows.filter(mask),
            reason=reasons,
            record=records.raw_json(mask).str.slice(0, LONGEST_RECORD),
        )
        .select(prepared.quarantined.columns)
    )


def dead_letters(records: Records, prepared: Prepared, dead: pl.DataFrame, pipeline: Pipeline) -> pl.DataFrame:
    """Return the quarantine's rows for ``dead``: prepared rows with the ``reason`` why they have no prediction.

    Their ``features`` are what the model would have been given, so that no change of the source or of the manifest
    keeps them from being scored later.
    """
    if dead.is_empty():
        return prepared.quarantined.clear()
    which = prepared.rows["prediction_id"].is_in(dead["prediction_id"].implode())
    rows = taken_out(records, prepared, which, dead["reason"])
    return rows.with_columns(features_text(dead, pipeline))


def features_text(rows: pl.DataFrame, pipeline: Pipeline) -> pl.Series:
    """Return the features of prepared rows as JSON, a text a row; ``read_features`` gives the same values back."""
    return rows.select(record_schema(pipeline).names()).to_struct("features").struct.json_encode()


def read_features(texts: pl.Series, pipeline: Pipeline) -> pl.DataFrame:
    """Return the features that ``features_text`` wrote; null where a text lacks one."""
    return texts.str.json_decode(pl.Struct(record_schema(pipeline))).struct.unnest()
