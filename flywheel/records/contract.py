"""The row contract: what the manifest demands of a record, held against a batch of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.complaints import Complaint, any_complaint
from flywheel.records.conform import conform
from flywheel.records.horizon import Horizon
from flywheel.records.masks import is_null, nowhere
from flywheel.records.records import Records
from flywheel.records.times import parse_times
from flywheel.records.typed import read_typed


@dataclass(frozen=True)
class Checked:
    """A batch held against the contract; every series has one entry a record.

    Attributes
    ----------
    columns
        ``prediction_id``, ``event_time``, and the features, typed and transformed; null where a record breaks a rule.
    complaints
        Each rule that some record breaks.
    bad
        Which records break one.
    """

    columns: list[pl.Series]
    complaints: list[Complaint]
    bad: pl.Series


def check_records(records: Records, pipeline: Pipeline, event_time: JsonPath, as_of: datetime | None = None) -> Checked:
    """Read, check and transform a batch as the manifest says.

    A record is bad when it can't be read, has no id or no event time, happens more than ``batch.max_ahead`` after
    ``as_of`` (None: however late), breaks a rule of a feature, or has the id of an earlier good record of the batch.
    """
    ids, complaints = _ids(records, pipeline)
    times, of_times = _times(records, event_time)
    if as_of is not None:
        of_times.append(_too_late(records, event_time, times, Horizon(as_of, pipeline.spec.batch.max_ahead)))
    features = [conform(feature, records.values[feature.source_field]) for feature in pipeline.features]
    complaints += [*of_times, *(complaint for done in features for complaint in done.complaints)]
    if records.errors.null_count() < len(records):
        complaints = [_where_readable(complaint, records) for complaint in complaints]
    complaints.insert(0, _unreadable(records))
    complaints.append(_repeated(ids, ~any_complaint(complaints, len(records))))
    made = [complaint for complaint in complaints if complaint.where.any()]
    columns = [ids.alias("prediction_id"), times.alias("event_time"), *(done.values for done in features)]
    return Checked(columns, made, any_complaint(made, len(records)))


def _ids(records: Records, pipeline: Pipeline) -> tuple[pl.Series, list[Complaint]]:
    path = pipeline.prediction_id
    found = records.values[path]
    typed = read_typed(found, "category")
    ids = typed.values.set(typed.values == "", None) if (typed.values == "").any() else typed.values
    subject = f"prediction_id ({path})"
    missing = is_null(ids) & ~typed.wrong
    return ids, [Complaint(typed.wrong, subject, "is not an id", found), Complaint(missing, subject, "is missing")]


def _times(records: Records, path: JsonPath) -> tuple[pl.Series, list[Complaint]]:
    found = records.values[path]
    times = parse_times(found)
    subject = f"event_time ({path})"
    missing = is_null(found)
    wrong = is_null(times) & ~missing
    return times, [Complaint(wrong, subject, "is not a time", found), Complaint(missing, subject, "is missing")]


def _too_late(records: Records, path: JsonPath, times: pl.Series, horizon: Horizon) -> Complaint:
    return Complaint(horizon.is_beyond(times), f"event_time ({path})", f"is {horizon}", records.values[path])


def _unreadable(records: Records) -> Complaint:
    return Complaint(~is_null(records.errors), "record", "can't be read")


def _where_readable(complaint: Complaint, records: Records) -> Complaint:
    where = complaint.where & is_null(records.errors)
    return Complaint(where, complaint.subject, complaint.says, complaint.found)


def _repeated(ids: pl.Series, good: pl.Series) -> Complaint:
    """Good records after the first good one with the same id."""
    hashes = ids.filter(good).hash()
    again = hashes.filter(~hashes.is_first_distinct())
    if again.is_empty():
        return Complaint(nowhere(len(ids)), "prediction_id", "came earlier in this batch", ids)
    # Texts are compared only where their hashes are alike, which is twice as fast.
    alike = good.arg_true().filter(hashes.is_in(again.implode()))
    repeated = alike.filter(~ids.gather(alike).is_first_distinct())
    return Complaint(nowhere(len(ids)).scatter(repeated, True), "prediction_id", "came earlier in this batch", ids)
