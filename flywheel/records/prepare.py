"""A batch of records into rows for the log, and into quarantine what can't be one: each record exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import record_schema
from flywheel.records.complaints import reasons
from flywheel.records.contract import Checked, check_records
from flywheel.records.records import Records
from flywheel.records.sample_key import sample_keys
from flywheel.records.typed import read_typed

LONGEST_RECORD = 64 * 1024

QUARANTINE_SCHEMA = pl.Schema(
    {
        "part": pl.String(),
        "row": pl.Int64(),
        "prediction_id": pl.String(),
        "event_time": pl.Datetime("us", "UTC"),
        "reason": pl.String(),
        "record": pl.String(),
    }
)


@dataclass(frozen=True)
class Prepared:
    """What became of a batch.

    Attributes
    ----------
    rows
        ``prediction_id``, ``event_time``, ``sample_key``, ``entity`` if the manifest names an ``entity_key``, and the
        features as ``record_schema`` says, in the order of the records.
    quarantined
        A row per refused record: ``QUARANTINE_SCHEMA``.
    kept
        Which of the records became rows (Boolean, one entry a record).
    """

    rows: pl.DataFrame
    quarantined: pl.DataFrame
    kept: pl.Series


def needed_paths(pipeline: Pipeline, event_time: JsonPath) -> list[JsonPath]:
    """Return what ``prepare`` must find in the records."""
    entity = pipeline.inference.entity_key
    features = [feature.source_field for feature in pipeline.features]
    paths = [pipeline.prediction_id, event_time, *([entity] if entity else []), *features]
    return list(dict.fromkeys(paths))


def prepare(records: Records, pipeline: Pipeline, event_time: JsonPath, as_of: datetime | None = None) -> Prepared:
    """Make rows of the records that keep the contract (``contract.check_records``), and quarantine the others.

    The reason names every field that is wrong.
    """
    checked = check_records(records, pipeline, event_time, as_of)
    ids, times, *features = checked.columns
    frame = pl.DataFrame([ids, times, *_entity(records, pipeline), *features])
    if checked.bad.any():
        frame = frame.filter(~checked.bad)
    frame = frame.cast(dict(record_schema(pipeline)))  # type: ignore[arg-type]
    rows = frame.insert_column(2, sample_keys(frame["prediction_id"]))
    return Prepared(rows, _quarantine(records, checked, ids, times), ~checked.bad)


def _entity(records: Records, pipeline: Pipeline) -> list[pl.Series]:
    path = pipeline.inference.entity_key
    return [read_typed(records.values[path], "category").values.alias("entity")] if path else []


def _quarantine(records: Records, checked: Checked, ids: pl.Series, times: pl.Series) -> pl.DataFrame:
    bad = checked.bad
    if not bad.any():
        return pl.DataFrame(schema=QUARANTINE_SCHEMA)
    errors, reason = records.errors.filter(bad), reasons(checked.complaints, bad)
    return pl.DataFrame(
        {
            "part": records.parts.filter(bad),
            "row": records.rows.filter(bad),
            "prediction_id": ids.filter(bad),
            "event_time": times.filter(bad),
            "reason": reason.zip_with(errors.is_null(), errors),
            "record": records.raw_json(bad).str.head(LONGEST_RECORD),
        },
        schema=QUARANTINE_SCHEMA,
    )
