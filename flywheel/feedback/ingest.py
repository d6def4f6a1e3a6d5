"""Reads feedback events and applies the manifest's label rules to them, vectorised."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flywheel.lake.tables import FEEDBACK, QUARANTINE
from flywheel.manifest.cel import compile_cel
from flywheel.manifest.documents import SourceSpec
from flywheel.manifest.feedback import FeedbackConfig, LabelRule, PayloadField
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.schema import payload_schema
from flywheel.records.horizon import Horizon
from flywheel.records.records import Records
from flywheel.records.sample_key import sample_keys
from flywheel.records.text import as_text
from flywheel.records.times import parse_times
from flywheel.records.typed import read_typed

FEED = "feedback"
_VALUE_LENGTH = 80
_RECORD_LENGTH = 65_536


@dataclass(frozen=True)
class Events:
    """Events as the feedback table holds them, and those that can't be used, as the quarantine does."""

    rows: pl.DataFrame
    quarantined: pl.DataFrame


def event_paths(feedback: FeedbackConfig, spec: SourceSpec) -> list[JsonPath]:
    """Return every path of an event that the label rules need, each once."""
    paths = [feedback.event_key or feedback.join_key, feedback.event_field, spec.event_time]
    paths += [spec.received_at] if spec.received_at else []
    paths += [field.path for field in feedback.payload.values()]
    paths += [rule.label_field for rule in feedback.labels if rule.label_field]
    return list(dict.fromkeys(paths))


def label_events(
    records: Records, feedback: FeedbackConfig, spec: SourceSpec, number: int, horizon: Horizon | None = None
) -> Events:
    """Turn the events of batch ``number`` into rows of the feedback table.

    The first rule that an event matches gives its label and confidence; an event that matches none has no label. An
    event without an id, a name or a time, or with a time beyond ``horizon``, is quarantined.
    """
    values = records.values
    event_time = parse_times(values[spec.event_time])
    received_at = parse_times(values[spec.received_at]) if spec.received_at else event_time
    events = pl.DataFrame(
        {
            "prediction_id": as_text(values[feedback.event_key or feedback.join_key]),
            "event": as_text(values[feedback.event_field]),
            "event_time": event_time,
            "received_at": received_at.fill_null(event_time),
        }
    ).with_columns(batch_id=pl.lit(number, pl.Int64), date=pl.col("received_at").dt.date())
    events = events.with_columns(sample_keys(events["prediction_id"]))
    reasons = _reasons(records, events, feedback, spec, horizon)
    labelled = events.hstack(_labels(values, events["event"], feedback))
    return Events(
        rows=labelled.filter(reasons.is_null()).select(FEEDBACK.names()).cast(dict(FEEDBACK)),  # type: ignore[arg-type]
        quarantined=_quarantined(records, events, reasons, number),
    )


def _reasons(
    records: Records, events: pl.DataFrame, feedback: FeedbackConfig, spec: SourceSpec, horizon: Horizon | None
) -> pl.Series:
    """Why an event can't be used; null where it can."""
    times = as_text(records.values[spec.event_time]).str.slice(0, _VALUE_LENGTH)
    missing_id = pl.lit(f"no id at {feedback.event_key or feedback.join_key}")
    missing_event = pl.lit(f"no event name at {feedback.event_field}")
    bad_time = pl.format("no time at {}: {}", pl.lit(str(spec.event_time)), times.fill_null("nothing"))
    too_late = pl.format("its time {} is {}", times.fill_null("nothing"), pl.lit(str(horizon)))
    return events.select(
        pl.coalesce(
            records.errors,
            pl.when(pl.col("prediction_id").is_null()).then(missing_id),
            pl.when(pl.col("event").is_null()).then(missing_event),
            pl.when(pl.col("event_time").is_null()).then(bad_time),
            pl.when(_lies_ahead(events, horizon)).then(too_late),
        ).alias("reason")
    ).to_series()


def _lies_ahead(events: pl.DataFrame, horizon: Horizon | None) -> pl.Series:
    if horizon is None:
        return pl.Series([False]).new_from_index(0, events.height)
    return horizon.is_beyond(events["event_time"]) | horizon.is_beyond(events["received_at"])


def _labels(values: pl.DataFrame, event: pl.Series, feedback: FeedbackConfig) -> pl.DataFrame:
    """The label and confidence of each event by the first rule that it matches."""
    schema = payload_schema(feedback)
    payload = [_payload(values, field).alias(name) for name, field in feedback.payload.items()]
    stated = [as_text(values[path]).alias(path) for path in _label_fields(feedback)]
    frame = pl.DataFrame([event, *payload, *stated])
    label = pl.lit(None, pl.String)
    confidence = pl.lit(None, pl.Float64)
    for rule in reversed([rule for rule in feedback.labels if not rule.absent]):
        matches = _matches(rule, schema)
        label = pl.when(matches).then(_label(rule)).otherwise(label)
        confidence = pl.when(matches).then(pl.lit(rule.confidence)).otherwise(confidence)
    found = frame.select(label=label, confidence=confidence)
    # A rule whose label is in the event says nothing about an event that has none.
    return found.with_columns(pl.when(pl.col("label").is_not_null()).then("confidence"))


def _payload(values: pl.DataFrame, field: PayloadField) -> pl.Series:
    return read_typed(values[field.path], "category" if field.type == "string" else field.type).values


def _label_fields(feedback: FeedbackConfig) -> list[JsonPath]:
    return list(dict.fromkeys(rule.label_field for rule in feedback.labels if rule.label_field is not None))


def _matches(rule: LabelRule, schema: pl.Schema) -> pl.Expr:
    named = pl.col("event") == rule.event
    return named & compile_cel(rule.when, schema).fill_null(False) if rule.when else named


def _label(rule: LabelRule) -> pl.Expr:
    return pl.col(rule.label_field) if rule.label_field else pl.lit(rule.label_text, pl.String)


def _quarantined(records: Records, events: pl.DataFrame, reasons: pl.Series, number: int) -> pl.DataFrame:
    bad = reasons.is_not_null()
    columns = {name: dtype for name, dtype in QUARANTINE.items() if name != "date"}
    return (
        events.select("prediction_id", "event_time")
        .filter(bad)
        .with_columns(
            batch_id=pl.lit(number),
            feed=pl.lit(FEED),
            part=records.parts.filter(bad),
            row=records.rows.filter(bad),
            reason=reasons.filter(bad),
            record=records.raw_json(bad).str.slice(0, _RECORD_LENGTH),
            features=pl.lit(None, pl.String),
        )
        .select(columns.keys())
        .cast(columns)  # type: ignore[arg-type]
    )
