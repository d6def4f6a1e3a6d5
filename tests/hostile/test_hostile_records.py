"""Records that attack their readers: each ends as a row or in quarantine, and nothing else of the file suffers."""

from __future__ import annotations

import io
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import NAMES, NUMBERS, TIMES, attack, names
from hypothesis import example, given
from hypothesis import strategies as st
from made_records import TIME, make_pipeline
from source_places import LATER, make_place

from flywheel.records.prepare import Prepared, needed_paths, prepare
from flywheel.records.records import concat_records
from flywheel.records.text import as_text, json_text
from flywheel.records.times import parse_times

PIPELINE = make_pipeline(
    [
        {"name": "x", "source_field": "$.x", "nullable": True},
        {"name": "whole", "source_field": "$.whole", "type": "integer", "nullable": True},
        {"name": "sure", "source_field": "$.sure", "type": "boolean", "nullable": True},
        {"name": "kind", "source_field": "$['a b'].kind", "type": "category", "nullable": True},
        {"name": "last", "source_field": "$.list[-1]", "type": "category", "nullable": True},
    ]
)
GOOD = {"id": "good", "timestamp": "2013-01-01T00:00:00Z", "x": 1}


def read(folder: Path, kind: str, content: bytes) -> Prepared:
    """Put a file into a folder of its own, and plan, read and prepare it as the flow does."""
    place = make_place(kind, folder)
    file = place.path("a")  # type: ignore[attr-defined]
    file.write_bytes(content)
    source = place.source()
    slices = source.plan({}, LATER, 100_000)
    records = source.read(slices, needed_paths(PIPELINE, TIME))
    prepared = prepare(records, PIPELINE, TIME)
    assert prepared.rows.height + prepared.quarantined.height == len(records)
    assert prepared.quarantined["reason"].null_count() == 0
    assert [file.name for file in file.parent.iterdir()] == [file.name]
    return prepared


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(lines({**GOOD, "id": "x" * 10_000_000}), id="10 MB id"),
        pytest.param(lines({**GOOD, "id": "a", "blob": "x" * 10_000_000}), id="10 MB beside"),
        pytest.param(lines({**GOOD, "id": "a", **{f"f{i}": i for i in range(10_000)}}), id="10,000 fields"),
        pytest.param(lines({**GOOD, "id": "a"})[:-2] + b', "list": ' + b"[" * 1000 + b"]" * 1000 + b"}\n", id="depth"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n", id="depth 100,000"),
        pytest.param(b"[" * 1_000_000 + b"\n", id="opened for ever"),
        pytest.param(b"\xff\xfe\x00\xd8\n", id="not UTF-8"),
        pytest.param(b'{"id": "\xed\xa0\x80"}\n', id="surrogate bytes"),
        pytest.param(b'{"id": "\\ud800"}\n', id="lone surrogate"),
        pytest.param(b"\x00" * 1000 + b"\n", id="NUL bytes"),
        pytest.param(b'{"id": "a", "id": "b", "timestamp": [], "x": {}}\n', id="keys twice"),
    ],
)
def test_a_monstrous_line_costs_at_most_itself(tmp_path: Path, line: bytes) -> None:
    prepared = read(tmp_path, "ndjson", lines({**GOOD, "id": "before"}) + line + lines(GOOD))
    assert {"before", "good"} <= set(prepared.rows["prediction_id"])
    assert prepared.rows.height + prepared.quarantined.height == 3
    assert all(len(record) <= 65_536 for record in prepared.quarantined["record"])


def test_a_monstrous_csv(tmp_path: Path) -> None:
    header = "id,timestamp,x," + ",".join(f"f{i}" for i in range(10_000)) + "\n"
    rows = [f"{name},2013-01-01T00:00:00Z,{x}" + ",1" * 10_000 for name, x in [("a", "1" * 1_000_000), ("b", "2")]]
    prepared = read(tmp_path, "csv", (header + "\n".join(rows) + "\n").encode())
    assert prepared.rows["prediction_id"].to_list() == ["a", "b"]
    assert prepared.rows["x"].to_list() == [None, 2.0]


json_text_values = st.sampled_from([*NUMBERS, "true", "null", "{}", "[]", '"\\u0000"', '[[1],{"a":2}]'])
json_values = json_text_values | names.map(json.dumps) | st.sampled_from(TIMES).map(json.dumps)


@given(fields=st.dictionaries(st.sampled_from(["id", "timestamp", "x", "whole", "sure", "a b", "list"]), json_values))
@attack(30)
@example(fields={"timestamp": "1" + "0" * 40, "whole": "1e400", "x": "1" + "0" * 40})
def test_any_value_in_any_field(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str]) -> None:
    texts = {name: json.dumps(value) for name, value in {**GOOD, "id": "bad"}.items()} | fields
    line = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}\n"
    prepared = read(tmp_path_factory.mktemp("any"), "ndjson", line.encode() + lines(GOOD))
    everything = [*prepared.rows["prediction_id"], *prepared.quarantined["prediction_id"]]
    assert "good" in everything or GOOD["timestamp"] not in line  # a time still to come hides what follows it
    assert prepared.rows["x"].is_finite().all()


@given(st.lists(st.sampled_from([*NAMES, *NUMBERS, *TIMES]) | st.text(max_size=20), min_size=3, max_size=3))
@attack(40)
def test_any_text_in_a_csv(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    row = ",".join('"' + cell.encode(errors="replace").decode().replace('"', '""') + '"' for cell in cells)
    read(tmp_path_factory.mktemp("any"), "csv", f"id,timestamp,x\n{row}\ngood,2013-01-01,1\n".encode())


@given(st.sampled_from(["ndjson", "csv", "parquet"]), st.binary(max_size=300))
@attack(30)
@example("parquet", b"PAR1\xff\xff\xff\x7fPAR1")
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, kind: str, content: bytes) -> None:
    read(tmp_path_factory.mktemp("any"), kind, content)


@given(st.lists(st.sampled_from(TIMES) | st.text(max_size=30) | st.text("0123456789-:TZ+. ½−", max_size=30)))
@attack(150)
def test_any_text_as_a_time(texts: list[str]) -> None:
    times = parse_times(pl.Series(texts, dtype=pl.String)).drop_nulls()
    assert times.is_between(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)).all()


# Columns of any type, as other systems write them.
COUNTS = pa.array([2**63 - 1, -(2**63), 0])
COLUMNS: dict[str, pa.Array] = {
    **{
        f"time in {unit} {zone}": COUNTS.cast(pa.timestamp(unit, zone))
        for unit in ("ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Paris", "+05:30", "Mars/Phobos")
    },
    "date": pa.array([2**31 - 1, -(2**31), 0], pa.int32()).cast(pa.date32()),
    "time of day": pa.array([2**62, 2, None]).cast(pa.time64("ns")),
    "span": pa.array([2**62, -(2**63), None]).cast(pa.duration("ns")),
    "decimal": pa.array([10**37, 2, None], pa.decimal128(38, 0)),
    "long decimal": pa.array([10**70, 2, None], pa.decimal256(75, 0)),
    "unsigned": pa.array([2**64 - 1, 2, None], pa.uint64()),
    "half": pa.array([1, 2, None]).cast(pa.float16()),
    "codes": pa.array(["a", "b", None]).dictionary_encode(),
    "bytes": pa.array([b"\xff\x00", b"", None]),
    "nothing": pa.nulls(3),
    "list": pa.array([[1], [], None]),
    "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    "times in lists": pa.ListArray.from_arrays([0, 1, 2, 3], COUNTS.cast(pa.timestamp("us"))),
    "times in structs": pa.StructArray.from_arrays([COUNTS.cast(pa.timestamp("ms", "+01:00"))], ["kind"]),
    "no text": pa.array([b"\xff", b"a", b"\xc3"]).view(pa.string()),
    "NUL": pa.array(["a\0b", "\0", ""]),
    "not finite": pa.array([float("nan"), float("inf"), -0.0]),
}


def parquet(columns: dict[str, pa.Array | list[object]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize("field", ["id", "timestamp", "x", "whole", "sure", "a b", "list"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_in_any_field(tmp_path: Path, field: str, name: str) -> None:
    columns = {"id": ["a", "b", "c"], "timestamp": [GOOD["timestamp"]] * 3, "x": [1.0, 2.0, 3.0]}
    prepared = read(tmp_path, "parquet", parquet({**columns, field: COLUMNS[name]}))
    assert prepared.rows.height + prepared.quarantined.height in (0, 1, 3)  # of the year 2262, unreadable, each one


def test_times_with_an_offset_are_read(tmp_path: Path) -> None:
    moments = pa.array([datetime(2013, 1, 1, tzinfo=UTC)]).cast(pa.timestamp("us", "+05:30"))
    prepared = read(tmp_path, "parquet", parquet({"id": ["a"], "timestamp": moments, "x": [1.0]}))
    assert prepared.rows["event_time"].to_list() == [datetime(2013, 1, 1, tzinfo=UTC)]


def test_a_time_that_no_calendar_has_is_named_and_never_taken_for_another(tmp_path: Path) -> None:
    days = pa.array([2**31 - 1, 15_706], pa.int32()).cast(pa.date32())
    prepared = read(tmp_path, "parquet", parquet({"id": ["a", "b"], "timestamp": days, "x": [1.0, 1.0]}))
    assert prepared.rows["prediction_id"].to_list() == ["b"]
    assert "'2147483647 days after 1970-01-01' is not a time" in prepared.quarantined["reason"][0]
    text = as_text(pl.Series([2**62]).cast(pl.Datetime("us")))
    assert parse_times(text).to_list() == [None]


@pytest.mark.parametrize("columns", [["id", "id", "timestamp"], ["a.b", "", "a\0"], ["zzz"], []])
def test_columns_with_odd_names(tmp_path: Path, columns: list[str]) -> None:
    table = pa.Table.from_arrays([pa.array(["2013-01-01"]) for _ in columns], columns)
    stream = io.BytesIO()
    pq.write_table(table, stream)
    assert read(tmp_path, "parquet", stream.getvalue()).rows.is_empty()


WHOLE = parquet({"id": ["a", "b", "c"] * 20, "timestamp": [GOOD["timestamp"]] * 60, "x": [1.0, 2.0, 3.0] * 20})


@given(st.integers(0, 2**32), st.integers(1, 8))
@attack(40)
def test_a_parquet_file_with_wrong_bytes(tmp_path_factory: pytest.TempPathFactory, seed: int, count: int) -> None:
    content, chance = bytearray(WHOLE), random.Random(seed)
    for _ in range(count):
        content[chance.randrange(len(content))] = chance.randrange(256)
    read(tmp_path_factory.mktemp("any"), "parquet", bytes(content))


@given(st.lists(st.sampled_from(list(COLUMNS)), min_size=2, max_size=4))
@attack(30)
def test_files_of_other_types_side_by_side(tmp_path_factory: pytest.TempPathFactory, kinds: list[str]) -> None:
    place = make_place("parquet", tmp_path_factory.mktemp("any"))
    for number, kind in enumerate(kinds):
        file = place.path(str(number))  # type: ignore[attr-defined]
        file.write_bytes(parquet({"id": ["a", "b", "c"], "timestamp": [GOOD["timestamp"]] * 3, "x": COLUMNS[kind]}))
    source, paths = place.source(), needed_paths(PIPELINE, TIME)
    records = source.read(source.plan({}, LATER, 1000), paths)
    prepared = prepare(concat_records([records], paths), PIPELINE, TIME)
    assert prepared.rows.height + prepared.quarantined.height == len(records) == 3 * len(kinds)


def test_records_with_impossible_times_can_be_shown() -> None:
    inner = pl.Series("t", [2**62, None]).cast(pl.Datetime("us", "UTC"))
    record = pl.DataFrame([inner, pl.Series("l", [[2**62], None]).cast(pl.List(pl.Datetime("ms")))]).to_struct()
    assert json_text(record).to_list() == ['{"t":4611686018427387904,"l":[4611686018427387904]}', '{"t":null,"l":null}']
