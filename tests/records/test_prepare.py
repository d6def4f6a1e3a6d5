"""Records become rows or go to quarantine with a reason, each exactly once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import make_pipeline

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import FilesSourceSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.schema import record_schema
from flywheel.records.prepare import LONGEST_RECORD, QUARANTINE_SCHEMA, needed_paths, prepare
from flywheel.records.records import concat_records, unreadable_records
from flywheel.sources.open import open_source

TIME = JsonPath("$.timestamp")
NOON = "2013-01-01T12:00:00Z"
Make = Callable[..., Any]


def test_what_happens_long_after_it_is_read_is_quarantined(pipeline_of: Make, records_of: Make) -> None:
    pipeline = pipeline_of([{"name": "wind", "source_field": "$.wind"}])
    times = [NOON, "2013-01-02T12:00:00Z", "2013-01-02T12:00:01Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
    frame = pl.DataFrame({"id": [*"abcde"], "timestamp": times, "wind": [1.0] * 5})
    done = prepare(records_of(frame, pipeline), pipeline, TIME, datetime(2013, 1, 1, 12, tzinfo=UTC))
    assert done.rows["prediction_id"].to_list() == ["a", "b", "e"]
    assert done.quarantined["prediction_id"].to_list() == ["c", "d"]
    assert done.quarantined["reason"][1] == (
        "event_time ($.timestamp) = '9999-12-31T23:59:59Z' is more than 1 day (batch.max_ahead) after it was "
        "read at 2013-01-01T12:00:00Z"
    )
    at_the_end = prepare(records_of(frame, pipeline), pipeline, TIME, datetime(9999, 12, 31, 12, tzinfo=UTC))
    assert at_the_end.rows.height == 5


def test_rows_have_the_columns_of_the_log(pipeline_of: Make, records_of: Make) -> None:
    pipeline = pipeline_of(
        [
            {"name": "wind", "source_field": "$.weather.wind"},
            {"name": "seats", "source_field": "$.seats", "type": "integer"},
            {"name": "late", "source_field": "$.late", "type": "boolean"},
            {"name": "origin", "source_field": "$.origin", "type": "category"},
        ],
        entity_key="$.plane",
    )
    frame = pl.DataFrame(
        {
            "id": ["a"],
            "timestamp": [NOON],
            "plane": ["N1"],
            "weather": [{"wind": 3}],
            "seats": [9],
            "late": [True],
            "origin": ["JFK"],
        }
    )
    done = prepare(records_of(frame, pipeline), pipeline, TIME)
    head = {
        "prediction_id": pl.String,
        "event_time": pl.Datetime("us", "UTC"),
        "sample_key": pl.Int64,
        "entity": pl.String,
    }
    assert done.rows.schema == pl.Schema({**head, **record_schema(pipeline)})
    noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    assert done.rows.drop("sample_key").row(0) == ("a", noon, "N1", 3.0, 9, True, "JFK")
    assert done.quarantined.schema == QUARANTINE_SCHEMA
    assert done.quarantined.is_empty()


CASES = [
    ({}, ["1.5", " 2 ", "1e3", 4], [1.5, 2.0, 1000.0, 4.0]),
    ({}, [1.5, float("nan"), float("inf"), None], [1.5, "x is missing", "x is missing", "x is missing"]),
    ({}, ["NaN", "-Infinity", "", "  "], ["x is missing"] * 4),
    ({}, ["high", "1,5", "0x10"], [f"x = '{value}' is not a number" for value in ("high", "1,5", "0x10")]),
    ({}, [True, False], ["x = 'true' is not a number", "x = 'false' is not a number"]),
    ({}, [date(2013, 1, 1)], ["x = '2013-01-01' is not a number"]),
    ({}, [[1.0]], ["x = '[1.0]' is not a number"]),
    ({}, [{"y": 1}], ["""x = '{"y":1}' is not a number"""]),
    ({"nullable": True}, [None, "NaN", "1"], [None, None, 1.0]),
    ({"nullable": True}, ["high"], ["x = 'high' is not a number"]),
    ({"default": 7}, [None, float("nan"), 1.0], [7.0, 7.0, 1.0]),
    (
        {"minimum": 0, "maximum": 10},
        [-0.5, 0, 10, 10.5],
        ["x = '-0.5' is below the minimum 0", 0.0, 10.0, "x = '10.5' is above the maximum 10"],
    ),
    ({"type": "integer"}, ["5", "5.0", "1e3", "-0"], [5, 5, 1000, 0]),
    ({"type": "integer"}, [5.0, 5.5], [5, "x = '5.5' is not a whole number"]),
    (
        {"type": "integer"},
        ["9223372036854775807", "9223372036854775808", "1e300"],
        [2**63 - 1, "x = '9223372036854775808' is not a whole number", "x = '1e300' is not a whole number"],
    ),
    ({"type": "boolean"}, ["true", "False", "1", "0"], [True, False, True, False]),
    (
        {"type": "boolean"},
        ["yes", "2", None],
        ["x = 'yes' is neither true nor false", "x = '2' is neither true nor false", "x is missing"],
    ),
    ({"type": "boolean"}, [1, 0, 2], [True, False, "x = '2' is neither true nor false"]),
    ({"type": "boolean"}, [True, False], [True, False]),
    ({"type": "category"}, ["JFK", "ünï", ""], ["JFK", "ünï", ""]),
    ({"type": "category"}, [1, 2], ["1", "2"]),
    ({"type": "category", "categories": ["a", "b"]}, ["a", "c"], ["a", "x = 'c' is none of the categories"]),
    ({"type": "category", "categories": ["a"], "on_unknown": "keep"}, ["a", "c"], ["a", "c"]),
    ({"type": "category", "default": "none"}, [None, "a"], ["none", "a"]),
    ({"type": "category"}, [[1]], ["x = '[1]' is not a text"]),
    ({"transform": {"one_hot": {"categories": ["a"]}}}, ["a", "zzz"], ["a", "zzz"]),
    ({"transform": {"normalize": {"min": 10, "max": 20}}}, [10, 15, 30], [0.0, 0.5, 2.0]),
    ({"transform": {"standardize": {"mean": 5, "std": 2}}}, [5, 9], [0.0, 2.0]),
    (
        {"transform": "log1p"},
        [0.0, -1.0, -2.0],
        [0.0, "x = '-1.0' is not above -1, as log1p needs it", "x = '-2.0' is not above -1, as log1p needs it"],
    ),
    ({"transform": {"clip": {"min": 0, "max": 1}}}, [-5, 0.5, 5], [0.0, 0.5, 1.0]),
    ({"transform": {"clip": {"max": 1}}}, [-5, 5], [-5.0, 1.0]),
    ({"transform": {"bucketize": {"boundaries": [0, 10]}}}, [-1, 0, 9.9, 10], [0, 1, 1, 2]),
    ({"transform": {"bucketize": {"boundaries": [0]}}, "nullable": True}, [None, 1], [None, 1]),
    ({"transform": {"normalize": {"min": 0, "max": 1e-300}}}, [1e300], ["x = '1e+300' is too large for its transform"]),
    ({"transform": "log1p", "nullable": True}, [None, float("nan")], [None, None]),
    (
        {"minimum": 0, "transform": {"normalize": {"min": 0, "max": 10}}},
        [-1, 5],
        ["x = '-1' is below the minimum 0", 0.5],
    ),
]


@pytest.mark.parametrize(("feature", "values", "expected"), CASES)
def test_rules_of_a_feature(
    prepare_values: Make, feature: dict[str, Any], values: list[Any], expected: list[Any]
) -> None:
    done = prepare_values(values, **feature)
    logged = iter(done.rows["x"].to_list())
    reasons = iter(done.quarantined["reason"].to_list())
    got = [next(logged) if kept else next(reasons) for kept in done.kept]
    assert got == expected
    assert [type(value) for value in got] == [type(value) for value in expected]


def test_a_reason_names_every_field_that_is_wrong_and_cuts_values(pipeline_of: Make, records_of: Make) -> None:
    pipeline = pipeline_of([{"name": "a", "source_field": "$.a"}, {"name": "b", "source_field": "$.b"}])
    frame = pl.DataFrame({"id": [None], "timestamp": ["soon"], "a": ["y" * 500], "b": [None]})
    (reason,) = prepare(records_of(frame, pipeline), pipeline, TIME).quarantined["reason"]
    assert reason == (
        "prediction_id ($.id) is missing; event_time ($.timestamp) = 'soon' is not a time; "
        f"a = '{'y' * 79}…' is not a number; b is missing"
    )


def test_the_first_good_record_of_an_id_is_kept(pipeline_of: Make, records_of: Make) -> None:
    pipeline = pipeline_of([{"name": "a", "source_field": "$.a"}])
    frame = pl.DataFrame({"id": ["i", "i", "j", "i"], "timestamp": [NOON] * 4, "a": ["bad", "1", "2", "3"]})
    done = prepare(records_of(frame, pipeline), pipeline, TIME)
    assert done.rows["a"].to_list() == [1.0, 2.0]
    assert done.quarantined["reason"].to_list() == [
        "a = 'bad' is not a number",
        "prediction_id = 'i' came earlier in this batch",
    ]


@pytest.mark.parametrize(
    ("ids", "expected"), [([1, 2], ["1", "2"]), (["", "a"], ["a"]), ([None, "a"], ["a"]), ([[1], [2]], [])]
)
def test_ids_are_text_and_must_be_there(
    pipeline_of: Make, records_of: Make, ids: list[Any], expected: list[str]
) -> None:
    pipeline = pipeline_of([{"name": "a", "source_field": "$.a"}])
    frame = pl.DataFrame({"id": ids, "timestamp": [NOON] * 2, "a": [1.0] * 2})
    done = prepare(records_of(frame, pipeline), pipeline, TIME)
    assert done.rows["prediction_id"].to_list() == expected
    assert done.quarantined.height == 2 - len(expected)


def test_what_cannot_be_read_is_quarantined_with_where_it_was(pipeline_of: Make, records_of: Make) -> None:
    pipeline = pipeline_of([{"name": "a", "source_field": "$.a"}])
    paths = needed_paths(pipeline, TIME)
    good = records_of(pl.DataFrame({"id": ["i"], "timestamp": [NOON], "a": [1.0]}), pipeline)
    broken = unreadable_records("day-2", 7, 2, "is not valid JSON", paths)
    done = prepare(concat_records([good, broken], paths), pipeline, TIME)
    assert done.kept.to_list() == [True, False, False]
    assert done.quarantined.rows() == [
        ("day-2", 7, None, None, "is not valid JSON", None),
        ("day-2", 8, None, None, "is not valid JSON", None),
    ]


def test_the_record_is_kept_as_json_and_cut(pipeline_of: Make, records_of: Make) -> None:
    pipeline = pipeline_of([{"name": "a", "source_field": "$.a"}])
    frame = pl.DataFrame({"id": ["i", "j"], "timestamp": [NOON] * 2, "a": [None] * 2, "note": ["n", "n" * 100_000]})
    kept = prepare(records_of(frame, pipeline), pipeline, TIME).quarantined["record"].to_list()
    assert json.loads(kept[0]) == {"id": "i", "timestamp": NOON, "a": None, "note": "n"}
    assert len(kept[1]) == LONGEST_RECORD


def test_an_empty_batch_has_the_same_columns(pipeline_of: Make) -> None:
    pipeline = pipeline_of([{"name": "a", "source_field": "$.a"}], entity_key="$.e")
    done = prepare(concat_records([], needed_paths(pipeline, TIME)), pipeline, TIME)
    assert done.rows.columns == ["prediction_id", "event_time", "sample_key", "entity", "a"]
    assert done.rows.is_empty()
    assert done.quarantined.is_empty()


def test_a_batch_of_only_bad_records(prepare_values: Make) -> None:
    done = prepare_values(["a", "b"])
    assert done.rows.is_empty()
    assert done.quarantined.height == 2


SCALARS = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**30), 10**30),
    st.booleans(),
    st.text(max_size=5),
    st.sampled_from(["1", "NaN", "a", "b", "2013-01-01"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
LINES = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.one_of(st.sampled_from(["p", "q"]), SCALARS),
            "timestamp": st.one_of(st.just(NOON), SCALARS),
            "n": SCALARS,
            "i": SCALARS,
            "b": SCALARS,
            "c": SCALARS,
        },
    ).map(json.dumps),
    st.text(alphabet='{}[]",:a1 é', max_size=12),
)


@settings(deadline=None, max_examples=80)
@given(lines=st.lists(LINES, max_size=12))
def test_every_record_ends_up_in_exactly_one_place(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each line of a file, unless it is blank, is one row or one quarantined record, and the rows are clean."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.ndjson").write_text("".join(line + "\n" for line in lines), newline="")
    pipeline = _every_type()
    source = open_source(FilesSourceSpec(type="files", uri=str(folder), format="ndjson"), StorageMap())
    slices = source.plan({}, datetime(2100, 1, 1, tzinfo=UTC), 100)
    records = source.read(slices, needed_paths(pipeline, TIME))
    done = prepare(records, pipeline, TIME)

    places = set(records.rows.filter(done.kept)) | set(done.quarantined["row"])
    seen = slices[0].stop if slices else 0
    assert len(records) == done.rows.height + done.quarantined.height == len(places) == seen
    if slices and slices[0].mark.endswith("end"):
        assert seen == sum(1 for line in lines if line.strip("\r"))
    assert done.quarantined["reason"].null_count() == 0
    assert done.rows["prediction_id"].n_unique() == done.rows.height
    assert (
        done.rows.select("prediction_id", "event_time", "sample_key", "n", "b", "c").null_count().sum_horizontal()[0]
        == 0
    )
    assert done.rows["n"].is_finite().all()
    assert done.rows["i"].is_between(-5, 5).all()


def _every_type() -> Any:
    return make_pipeline(
        [
            {"name": "n", "source_field": "$.n", "transform": {"standardize": {"mean": 0, "std": 1e-9}}},
            {"name": "i", "source_field": "$.i", "type": "integer", "nullable": True, "minimum": -5, "maximum": 5},
            {"name": "b", "source_field": "$.b", "type": "boolean", "default": False},
            {"name": "c", "source_field": "$.c", "type": "category", "categories": ["a", "b"]},
        ]
    )


def test_ten_thousand_ndjson_records_are_read_and_prepared_well_under_a_second(
    tmp_path: Path, pipeline_of: Make
) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10_000, 20)).tolist()
    lines = (
        json.dumps({"id": f"t-{i}", "timestamp": NOON, "metrics": {f"f{j}": v for j, v in enumerate(row)}})
        for i, row in enumerate(values)
    )
    (tmp_path / "a.ndjson").write_text("\n".join(lines) + "\n")
    pipeline = pipeline_of([{"name": f"f{j}", "source_field": f"$.metrics.f{j}", "minimum": -9} for j in range(20)])
    source = open_source(FilesSourceSpec(type="files", uri=str(tmp_path), format="ndjson"), StorageMap())

    def whole_batch() -> pl.DataFrame:
        slices = source.plan({}, datetime(2014, 1, 1, tzinfo=UTC), 10_000)
        return prepare(source.read(slices, needed_paths(pipeline, TIME)), pipeline, TIME).rows

    assert whole_batch().select(pl.exclude("prediction_id", "event_time", "sample_key")).to_numpy().tolist() == values
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        whole_batch()
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.7
