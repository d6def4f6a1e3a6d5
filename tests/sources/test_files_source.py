"""A folder that grows: late and growing files, files that are broken, and files that must be left alone."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from obstore.store import MemoryStore
from source_places import LATER, FilesPlace, Reader, record

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import FilesSourceSpec, StorageSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import WHOLE_FILE
from flywheel.sources.base import Slice, SourceError
from flywheel.sources.csv_format import CsvFormat
from flywheel.sources.ndjson import NdjsonFormat
from flywheel.sources.open import open_source
from flywheel.sources.parquet import ParquetFormat
from flywheel.sources.stored import PartFile

ID = JsonPath("$.id")


def settle(path: Path) -> None:
    """Make a file look as if nobody had written to it for a while."""
    os.utime(path, (0, 0))


def test_files_are_read_in_the_order_of_their_names(files: FilesPlace) -> None:
    files.add([record(2)], "b")
    files.add([record(1)], "a")
    files.add([record(3)], "date=2013-01-02/c d #1 100%")
    assert Reader(files).drain() == ["r1", "r2", "r3"]


def test_a_file_that_arrives_late_under_an_earlier_name_is_found(files: FilesPlace) -> None:
    files.add([record(2)], "2013-01-02")
    reader = Reader(files)
    assert reader.drain() == ["r2"]
    files.add([record(1)], "2013-01-01")
    assert reader.drain() == ["r1"]


def test_a_file_that_grew_is_read_on(files: FilesPlace) -> None:
    files.add([record(0), record(1)])
    reader = Reader(files)
    assert reader.drain() == ["r0", "r1"]
    files.add([record(2)])
    files.add([record(3)])
    assert reader.drain() == ["r2", "r3"]
    assert reader.batches[-1][0].start == 2


def test_a_finished_file_is_not_opened_again(files: FilesPlace) -> None:
    files.add([record(0)])
    reader = Reader(files)
    reader.drain()
    path = files.path("part")
    path.write_bytes(b"?" * path.stat().st_size)
    assert reader.plan() == []


def test_hidden_and_temporary_files_are_left_alone(files: FilesPlace) -> None:
    files.add([record(0)])
    for name in (".hidden", "_SUCCESS", "_delta_log/x", "sub/.part", "half.tmp"):
        path = files.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(files.path("part").read_bytes())
    assert Reader(files).drain() == ["r0"]


def test_empty_files_are_done_with_no_rows(files: FilesPlace) -> None:
    files.path("empty").touch()
    assert Reader(files).plan() == []
    if files.format == "parquet":
        pl.DataFrame(schema={"id": pl.String}).write_parquet(files.path("none"))
    else:
        files.path("none").write_text("id,timestamp,x,note\n" if files.format == "csv" else "\n\n")
    reader = Reader(files)
    assert [piece.rows for piece in reader.plan()] == [0]
    assert len(files.source().read(reader.batches[0], [ID])) == 0
    assert reader.plan() == []
    files.add([record(0)], "none")
    assert reader.drain() == ["r0"]


def test_a_missing_folder_says_what_to_do(files: FilesPlace) -> None:
    files.folder.rmdir()
    with pytest.raises(SourceError, match="is not there") as raised:
        Reader(files).plan()
    assert "create the folder" in str(raised.value)


def test_a_bucket_that_cannot_be_reached_says_what_to_check() -> None:
    bucket = StorageSpec(
        prefix="s3://far",
        root="s3://far",
        endpoint_url="http://127.0.0.1:1",
        access_key_id="a",
        secret_access_key="s3cret",
    )
    source = open_source(FilesSourceSpec(type="files", uri="s3://far/in", format="csv"), StorageMap((bucket,)))
    with pytest.raises(SourceError, match="can't be read") as raised:
        source.plan({}, LATER, 10)
    assert "Storage document" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_file_that_was_removed_or_replaced_is_an_error_not_other_rows(files: FilesPlace) -> None:
    files.add([record(i) for i in range(5)])
    reader = Reader(files)
    slices = reader.plan()
    files.path("part").unlink()
    with pytest.raises(SourceError, match="changed or replaced"):
        reader.values(slices)
    files.add([record(9)])
    with pytest.raises(SourceError, match="changed or replaced"):
        reader.values(slices)


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_a_truncated_parquet_file_is_one_quarantined_record_until_it_changes(tmp_path: Path, keep: float) -> None:
    place = FilesPlace(tmp_path, "parquet")
    place.add([record(0)], "a")
    place.add([record(1)], "b")
    place.add([record(2)], "c")
    whole = place.path("b").read_bytes()
    place.path("b").write_bytes(whole[: int(len(whole) * keep)])
    reader = Reader(place)
    slices = reader.plan()
    assert [piece.rows for piece in slices] == [1, 0, 1]
    records = place.source().read(slices, [ID])
    assert records.values["$.id"].to_list() == ["r0", None, "r2"]
    assert records.rows.to_list() == [0, WHOLE_FILE, 0]
    assert records.errors[1].startswith("the whole file is not readable as parquet")
    assert records.parts[1] == "b.parquet"
    assert reader.plan() == []
    place.path("b").write_bytes(whole)
    assert reader.drain() == ["r1"]
    assert place.source().read(slices, [ID]).errors.equals(records.errors)


def test_a_damaged_page_costs_only_the_rows_that_were_planned_from_its_file(tmp_path: Path) -> None:
    place = FilesPlace(tmp_path, "parquet")
    place.add([record(i) for i in range(5)])
    reader = Reader(place)
    slices = reader.plan()
    content = bytearray(place.path("part").read_bytes())
    content[4:200] = b"\xff" * 196
    place.path("part").write_bytes(bytes(content))
    records = place.source().read(slices, [ID])
    assert records.rows.to_list() == [0, 1, 2, 3, 4]
    assert all("damaged" in error for error in records.errors)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_bytes_of_another_format_are_one_record_with_an_error(tmp_path: Path, kind: str) -> None:
    place = FilesPlace(tmp_path, kind)
    place.path("a").write_bytes(b"\x00\xff\xfe\x80" * 300)
    reader = Reader(place)
    records = place.source().read(reader.plan(), [ID])
    assert records.rows.to_list() == [WHOLE_FILE]
    assert reader.plan() == []


def test_a_bad_line_in_the_middle_costs_only_itself(ndjson: FilesPlace) -> None:
    good = json.dumps(record(1)).encode()
    lines = [good, b'{"id": "r2"', b"[1, 2]", b'{"id": "\xff"}', b"", b"  ", json.dumps(record(3)).encode()]
    ndjson.path("part").write_bytes(b"\n".join(lines) + b"\n")
    records = ndjson.source().read(Reader(ndjson).plan(), [ID])
    assert records.values["$.id"].to_list() == ["r1", None, None, None, None, "r3"]
    assert records.errors.to_list() == [
        None,
        "is not valid JSON",
        "is JSON, but not an object",
        "is not valid UTF-8",
        "is not valid JSON",
        None,
    ]
    assert records.raw_json(records.errors.is_not_null()).to_list()[:3] == ['{"id": "r2"', "[1, 2]", '{"id": "�"}']


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_line_ends_and_byte_order_marks_of_windows(tmp_path: Path, kind: str) -> None:
    place = FilesPlace(tmp_path, kind)
    place.add([record(0), record(1)])
    text = place.path("part").read_text().replace("\n", "\r\n")
    place.path("part").write_bytes(b"\xef\xbb\xbf" + text.encode())
    reader = Reader(place)
    assert reader.values(reader.plan(max_rows=1), "$.note") == ["plain"]
    assert reader.drain() == ["r1"]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_last_line_without_its_end_is_read_if_it_is_whole(tmp_path: Path, kind: str) -> None:
    place = FilesPlace(tmp_path, kind)
    place.add([record(0), record(1)])
    path = place.path("part")
    path.write_text(path.read_text().rstrip("\n"))
    reader = Reader(place)
    assert reader.drain() == ["r0", "r1"]
    with path.open("a") as stream:
        stream.write("\n")
    place.add([record(2)])
    assert reader.drain() == ["r2"]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_line_that_is_still_being_written_is_waited_for(tmp_path: Path, kind: str) -> None:
    place = FilesPlace(tmp_path, kind)
    place.add([record(0), record(1)])
    path = place.path("part")
    whole = path.read_text()
    path.write_text(whole[: whole.index("r1") + 2])
    reader = Reader(place)
    assert reader.drain() == ["r0"]
    path.write_text(whole)
    assert reader.drain() == ["r1"]


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_half_a_line_that_nobody_completes_is_a_record_with_an_error(tmp_path: Path, kind: str) -> None:
    place = FilesPlace(tmp_path, kind)
    place.add([record(0), record(1)])
    path = place.path("part")
    path.write_text(path.read_text()[:-20])
    settle(path)
    records = place.source().read(Reader(place).plan(), [ID])
    assert records.errors.is_null().to_list() == [True, False]


def test_slices_of_a_long_file_read_their_own_bytes_only(ndjson: FilesPlace) -> None:
    ndjson.add([record(i, note="y" * 500) for i in range(600)])
    reader = Reader(ndjson)
    assert reader.drain(max_rows=100) == [f"r{i}" for i in range(600)]
    begins = [int(batch[0].after) for batch in reader.batches]
    assert begins == sorted(set(begins))
    assert begins[0] == 0


def test_a_file_of_the_future_waits_whole(files: FilesPlace) -> None:
    files.add([record(0)], "a")
    files.add([record(0, id="later", timestamp="2014-01-01T00:00:00Z")], "b")
    reader = Reader(files)
    assert reader.drain(datetime(2013, 6, 1, tzinfo=UTC)) == ["r0"]
    assert set(reader.done) == {files.path("a").name}
    assert reader.drain(LATER) == ["later"]


def test_nested_parquet_is_reached_into(tmp_path: Path) -> None:
    rows = [
        {
            "meta": {"trace": {"id": "a"}},
            "sizes": [1, 2, 3],
            "when": datetime(2013, 1, 1),  # noqa: DTZ001
            "kind": "x",
            "p.q": 1,
            "b": b"\xff",
        },
        {"meta": {"trace": None}, "sizes": [], "when": None, "kind": None, "p.q": None, "b": None},
    ]
    frame = pl.DataFrame(rows).with_columns(pl.col("kind").cast(pl.Categorical), pl.col("when").cast(pl.Datetime("ns")))
    frame.write_parquet(tmp_path / "a.parquet")
    source = FilesPlace(tmp_path, "parquet").source(event_time="$.when")
    paths = [
        JsonPath(p)
        for p in ("$.meta.trace.id", "$.sizes[-1]", "$.sizes[9]", "$.when", "$.kind", "$.p.q", "$.b", "$.kind.z")
    ]
    records = source.read(source.plan({}, LATER, 10), paths)
    when = datetime(2013, 1, 1, tzinfo=UTC)
    assert records.values.rows() == [("a", 3, None, when, "x", 1, b"\xff", None), (None,) * 8]
    shown = json.loads(records.raw_json(pl.Series([True, False]))[0])
    assert shown["meta"] == {"trace": {"id": "a"}}
    assert shown["b"] == "ff"


def test_files_whose_columns_have_other_types_are_read_together(tmp_path: Path) -> None:
    place = FilesPlace(tmp_path, "parquet")
    place.add([{"id": 1, "timestamp": 1357016400, "x": 1}], "a")
    place.add([{"id": "two", "timestamp": "2013-01-01T05:00:00Z", "x": 2.5}], "b")
    place.add([{"id": None, "timestamp": datetime(2013, 1, 1, 5), "x": None}], "c")  # noqa: DTZ001
    reader = Reader(place)
    records = place.source().read(reader.plan(), [ID, JsonPath("$.x"), JsonPath("$.timestamp")])
    assert records.values["$.id"].to_list() == ["1", "two", None]
    assert records.values["$.x"].to_list() == ["1", "2.5", None]
    assert records.values["$.timestamp"].to_list()[2] == "2013-01-01T05:00:00.000000Z"


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson"])
def test_formats_read_from_an_object_store(tmp_path: Path, kind: str) -> None:
    place = FilesPlace(tmp_path, kind)
    place.add([record(i) for i in range(20)])
    content = place.path("part").read_bytes()
    store = MemoryStore()
    store.put("records/part", content)
    file = PartFile(store, "records/part", len(content))
    form = {"parquet": ParquetFormat, "csv": CsvFormat, "ndjson": NdjsonFormat}[kind]()
    peek = form.peek(file, 0, 5, [ID])
    assert peek.values["$.id"].to_list() == [f"r{i}" for i in range(5)]
    piece = Slice(part="records/part", start=0, stop=5, after="0", mark=f"{len(content)} {peek.ends[-1]} open")
    assert form.read(file, piece, [ID]).values["$.id"].to_list() == [f"r{i}" for i in range(5)]


def test_a_folder_named_by_a_storage_prefix(tmp_path: Path) -> None:
    FilesPlace(tmp_path / "in", "ndjson").add([record(0)])
    storage = StorageMap((StorageSpec(prefix="s3://bucket", root=str(tmp_path)),))
    spec = FilesSourceSpec(type="files", uri="s3://bucket/in/", format="ndjson")
    source = open_source(spec, storage)
    slices = source.plan({}, LATER, 10)
    assert [piece.part for piece in slices] == ["part.ndjson"]
    assert source.read(slices, [ID]).values["$.id"].to_list() == ["r0"]
