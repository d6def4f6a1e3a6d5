"""Feedback events that attack the label rules and the join."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hostile import NUMBERS, TIMES, attack, names
from hypothesis import example, given
from hypothesis import strategies as st
from source_places import LATER, make_place
from test_hostile_records import COLUMNS, parquet

from flywheel.errors import FlywheelError
from flywheel.feedback.ingest import Events, event_paths, label_events
from flywheel.feedback.join import JoinBatch, join_feedback
from flywheel.lake.storage import Location
from flywheel.lake.tables import pipeline_tables
from flywheel.manifest.documents import FilesSourceSpec
from flywheel.manifest.feedback import FeedbackConfig
from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.sample_key import sample_keys
from flywheel.sources.base import Slice

FEEDBACK = FeedbackConfig.model_validate(
    {
        "source": "s",
        "join_key": "$.id",
        "payload": {
            "minutes": {"path": "$.minutes", "type": "float"},
            "stops": {"path": "$.stops", "type": "integer"},
            "late": {"path": "$.late", "type": "boolean"},
            "note": "$.note",
        },
        "labels": [
            {"event": "landed", "when": "late || minutes > 15.0 || stops > 9", "label": "late"},
            {"event": "landed", "when": "note.contains('late')", "label_field": "$.note"},
            {"event": "landed", "label": "on_time"},
        ],
    }
)
GOOD = {"id": "a", "event": "landed", "timestamp": "2013-01-01T00:00:00Z"}


def read(folder: Path, kind: str, content: bytes) -> Events:
    place = make_place(kind, folder)
    file = place.path("a")  # type: ignore[attr-defined]
    file.write_bytes(content)
    spec = FilesSourceSpec(type="files", uri=str(file.parent), format=kind, event_time=JsonPath("$.timestamp"))
    source = place.source()
    slices: list[Slice] = source.plan({}, LATER, 1000)
    records = source.read(slices, event_paths(FEEDBACK, spec))
    events = label_events(records, FEEDBACK, spec, 1)
    assert events.rows.height + events.quarantined.height == len(records)
    return events


@pytest.mark.parametrize(("late", "label"), [(True, "late"), (False, "on_time"), ("true", "late"), (None, "on_time")])
def test_a_payload_of_truth_values_in_text(tmp_path: Path, late: Any, label: str) -> None:
    events = read(tmp_path, "ndjson", json.dumps({**GOOD, "late": late}).encode() + b"\n")
    assert events.rows["label"].to_list() == [label]


values = st.sampled_from([*NUMBERS, "true", "{}", '[[1],{"a":2}]'])
values |= names.map(json.dumps) | st.sampled_from(TIMES).map(json.dumps)


@given(st.dictionaries(st.sampled_from(["id", "event", "timestamp", "minutes", "stops", "late", "note"]), values))
@attack(30)
def test_any_value_in_any_field(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str]) -> None:
    texts = {name: json.dumps(value) for name, value in GOOD.items()} | fields
    line = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}\n"
    read(tmp_path_factory.mktemp("any"), "ndjson", line.encode())


@pytest.mark.parametrize("field", ["id", "event", "timestamp", "minutes", "stops", "late", "note"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_in_any_field(tmp_path: Path, field: str, name: str) -> None:
    columns: dict[str, Any] = {key: [value] * 3 for key, value in GOOD.items()}
    read(tmp_path, "parquet", parquet({**columns, field: COLUMNS[name]}))


MOMENTS = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC)]
)
LOG = pl.Schema(
    {
        "prediction_id": pl.String(),
        "event_time": pl.Datetime("us", "UTC"),
        "batch_id": pl.Int64(),
        "sample_key": pl.Int64(),
    }
)


@given(name=names, event=MOMENTS, predicted=MOMENTS, delay=st.sampled_from([1e-9, 24, 876_600]))
@attack(12)
@example("'; DROP TABLE x --", datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), 24)
@example("../../x", datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), 876_600)
def test_any_id_at_any_time_is_joined(
    tmp_path_factory: pytest.TempPathFactory, name: str, event: datetime, predicted: datetime, delay: float
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    tables = pipeline_tables(Location(str(folder / "lake")), "p", LOG)
    key = sample_keys(pl.Series([name]))
    row = {"prediction_id": [name], "event_time": [predicted], "batch_id": [1], "sample_key": key}
    logged = pl.DataFrame(row, schema=LOG)
    tables.predictions.append_once(logged.with_columns(date=pl.col("event_time").dt.date()), "p", 1)
    line = json.dumps({"id": name, "event": "landed", "timestamp": event.isoformat(), "note": f"late {name}"})
    events = read(folder, "ndjson", line.encode() + b"\n")
    if events.rows.is_empty():  # a time after LATER
        return
    assert events.rows["prediction_id"].to_list() == [name]
    assert events.rows["label"].to_list() == [f"late {name}"]
    tables.feedback.append_once(events.rows, "p", 1)
    batch = JoinBatch(1, events.rows, LATER, None, 1, timedelta(hours=delay))
    joined = join_feedback(tables, batch)
    tables.labels.append_once(joined.labels, "p", 1)
    again = tables.feedback.read(tables.feedback.files())
    assert again["prediction_id"].to_list() == [name]
    found = event - predicted <= timedelta(hours=delay) and predicted - event <= 2 * timedelta(hours=delay)
    assert joined.labels["prediction_id"].to_list() in ([name], []) if found else joined.labels.is_empty()
    assert sorted(path.name for path in folder.iterdir()) == ["lake", "records"]


@pytest.mark.parametrize("hours", [1e300, 1e9, float("inf"), float("nan"), 0, -1])
def test_a_delay_longer_than_the_calendar_is_refused(hours: float) -> None:
    with pytest.raises((ValueError, FlywheelError)):
        FeedbackConfig.model_validate({**FEEDBACK.model_dump(mode="json"), "max_delay_hours": hours})
