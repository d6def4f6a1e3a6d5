"""A batch of records into rows for the log, and into quarantine what can't be one: each record exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import record_schema
from flywheel.records.complaints import Complaint, any_complaint, reasons
from flywheel.records.conform import conform
from flywheel.records.horizon import Horizon
from flywheel.records.records import Records
from flywheel.records.sample_key import sample_keys
from flywheel.records.times import parse_times
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
    """Read, check and transform a batch as the manifest says.

    A record is quarantined when it can't be read, has no id or no event time, happens more than ``batch.max_ahead``
    after ``as_of`` (None: however late), breaks a rule of a feature, or has the id of an earlier good record of the
    batch; the reason names every field that is wrong.
    """
    ids, id_complaints = _ids(records, pipeline)
    times, time_complaints = _times(records, event_time)
    if as_of is not None:
        horizon = Horizon(as_of, pipeline.spec.batch.max_ahead)
        time_complaints.append(
            Complaint(
                horizon.is_beyond(times), f"event_time ({event_time})", f"is {horizon}", records.values[event_time]
            )
        )
    features = [conform(feature, records.values[feature.source_field]) for feature in pipeline.features]
    field_complaints = [*id_complaints, *time_complaints, *(c for done in features for c in done.complaints)]
    complaints = [_unreadable(records), *(_where_readable(c, records) for c in field_complaints)]
    good = ~any_complaint(complaints, len(records))
    complaints.append(_repeated(ids, good))
    bad = any_complaint(complaints, len(records))

    columns = [ids.alias("prediction_id"), times.alias("event_time"), *_entity(records, pipeline)]
    frame = pl.DataFrame([*columns, *(done.values for done in features)]).filter(~bad)
    frame = frame.cast(dict(record_schema(pipeline)))  # type: ignore[arg-type]
    rows = frame.insert_column(2, sample_keys(frame["prediction_id"]))
    return Prepared(rows, _quarantine(records, ids, times, reasons(complaints, bad), bad), ~bad)


def _ids(records: Records, pipeline: Pipeline) -> tuple[pl.Series, list[Complaint]]:
    path = pipeline.prediction_id
    found = records.values[path]
    typed = read_typed(found, "category")
    ids = typed.values.replace("", None)
    subject = f"prediction_id ({path})"
    missing = ids.is_null() & ~typed.wrong
    return ids, [Complaint(typed.wrong, subject, "is not an id", found), Complaint(missing, subject, "is missing")]


def _times(records: Records, path: JsonPath) -> tuple[pl.Series, list[Complaint]]:
    found = records.values[path]
    times = parse_times(found)
    subject = f"event_time ({path})"
    wrong = times.is_null() & found.is_not_null()
    return times, [Complaint(wrong, subject, "is not a time", found), Complaint(found.is_null(), subject, "is missing")]


def _entity(records: Records, pipeline: Pipeline) -> list[pl.Series]:
    path = pipeline.inference.entity_key
    return [read_typed(records.values[path], "category").values.alias("entity")] if path else []


def _unreadable(records: Records) -> Complaint:
    return Complaint(records.errors.is_not_null(), "record", "can't be read")


def _where_readable(complaint: Complaint, records: Records) -> Complaint:
    where = complaint.where & records.errors.is_null()
    return Complaint(where, complaint.subject, complaint.says, complaint.found)


def _repeated(ids: pl.Series, good: pl.Series) -> Complaint:
    """Good records after the first good one with the same id."""
    places = good.arg_true()
    again = places.filter(~ids.gather(places).is_first_distinct())
    where = pl.Series([False]).new_from_index(0, len(ids)).scatter(again, True)
    return Complaint(where, "prediction_id", "came earlier in this batch", ids)


def _quarantine(records: Records, ids: pl.Series, times: pl.Series, reason: pl.Series, bad: pl.Series) -> pl.DataFrame:
    errors = records.errors.filter(bad)
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
