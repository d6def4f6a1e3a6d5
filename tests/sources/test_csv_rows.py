"""CSV against Python's csv module, and what bad quoting costs."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from source_places import FilesPlace, Reader

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.records import Records
from flywheel.sources import text_rows
from flywheel.sources.csv_rows import CsvRows, find_fields
from flywheel.sources.lines import slices_of

FIELD = st.text(alphabet='ab,"\n\r é', max_size=8)


def read(folder: Path, text: str, *paths: str) -> Records:
    place = FilesPlace(folder, "csv")
    place.path("part").write_bytes(text.encode())
    return place.source(event_time="$.t").read(Reader(place, event_time="$.t").plan(), [JsonPath(p) for p in paths])


@settings(deadline=None, max_examples=200)
@given(rows=st.lists(st.lists(FIELD, min_size=3, max_size=3), min_size=1, max_size=6), data=st.data())
def test_finds_what_the_csv_module_wrote(rows: list[list[str]], data: st.DataObject) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=data.draw(st.sampled_from(["\n", "\r\n"])), quoting=csv.QUOTE_ALL).writerows(rows)
    found = CsvRows(columns=3).split(text.getvalue().encode())
    assert found.open_from is None
    fields = find_fields(found.rows)
    assert fields.counts.tolist() == [3] * len(rows)
    starts, stops = fields.of_rows(fields.counts == 3, 3)
    quoted = [[slices_of(found.rows.data, s, e).to_list() for s, e in zip(starts, stops, strict=True)]][0]
    unquoted = [[field.decode()[1:-1].replace('""', '"') for field in row] for row in quoted]
    assert unquoted == rows


@settings(deadline=None, max_examples=100)
@given(content=st.text(alphabet='a,"\n', max_size=60))
def test_any_text_is_split_into_rows_without_loss(content: str) -> None:
    """Every byte that is not a line end is in exactly one row, whatever the quotes do."""
    rows = CsvRows(columns=2).split(content.encode()).rows
    joined = b"".join(content.encode()[a:b] for a, b in zip(rows.starts, rows.stops, strict=True))
    assert joined.replace(b"\n", b"") == content.encode().replace(b"\n", b"")


def test_rows_of_the_wrong_width_cost_only_themselves(tmp_path: Path) -> None:
    records = read(tmp_path, "id,t,x\na,1,2\nb,1\nc,1,2,3\nd,1,2\n", "$.id", "$.x")
    assert records.values["$.id"].to_list() == ["a", None, None, "d"]
    assert records.errors.to_list() == [None, "has 2 fields, the header has 3", "has 4 fields, the header has 3", None]


def test_a_quote_that_is_never_closed_costs_its_line(tmp_path: Path) -> None:
    records = read(tmp_path, 'id,t,x\na,1,"open\nb,1,2\nc,1,"two\nlines"\nd,1,2\n', "$.id", "$.x")
    assert records.values["$.id"].to_list() == ["a", "b", "c", "d"]
    assert records.values["$.x"].to_list()[1:] == ["2", "two\nlines", "2"]
    assert records.errors.to_list() == ["column x has a quote that is not closed", None, None, None]


def test_quotes_inside_unquoted_fields_are_ordinary(tmp_path: Path) -> None:
    records = read(tmp_path, 'id,t,x\na,1,5" pipe\nb,6" pipe,2\nc,1,2\n', "$.id", "$.x")
    assert records.errors.null_count() == 3
    assert records.values["$.x"].to_list() == ['5" pipe', "2", "2"]


def test_an_empty_field_is_null_and_an_empty_text_is_not(tmp_path: Path) -> None:
    assert read(tmp_path, 'id,t\n,1\n"",1\n', "$.id").values["$.id"].to_list() == [None, ""]


def test_bytes_that_are_not_utf8_cost_only_their_row(tmp_path: Path) -> None:
    place = FilesPlace(tmp_path, "csv")
    place.path("part").write_bytes(b"id,t,x\na,1,caf\xe9\nb,1,ok\n")
    records = place.source(event_time="$.t").read(Reader(place, event_time="$.t").plan(), [JsonPath("$.x")])
    assert records.errors.to_list() == ["column x is not valid UTF-8", None]
    assert "caf" in records.raw_json(records.errors.is_not_null())[0]


@pytest.mark.parametrize(
    ("header", "path"), [("a.b", "$.a.b"), ('"a b"', "$['a b']"), ("é", "$.é"), ("a", "$.a"), ("0x", "$['0x']")]
)
def test_columns_are_found_by_name(tmp_path: Path, header: str, path: str) -> None:
    assert read(tmp_path, f"t,{header}\n1,v\n", path).values[path].to_list() == ["v"]


def test_json_in_a_column_is_reached_into(tmp_path: Path) -> None:
    records = read(tmp_path, 't,j\n1,"{""a"": [1, {""b"": 2}]}"\n', "$.j.a[1].b")
    assert records.values["$.j.a[1].b"].to_list() == ["2"]


@settings(deadline=None, max_examples=60)
@given(content=st.text(alphabet='a1,"\n\r', max_size=50), first_read=st.integers(1, 9), max_rows=st.integers(1, 4))
@example(content='1111,"\n"1,', first_read=1, max_rows=1)  # read up to the quote, the row seems to end with it
@example(content='11\n"\n11",""', first_read=1, max_rows=2)  # read up to that quote, the row seems too short
def test_planning_in_small_pieces_reads_what_one_look_at_the_whole_reads(
    content: str, first_read: int, max_rows: int
) -> None:
    """However much is read ahead, and wherever batches end, bad quotes included: the same rows, and all replayable."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        place = FilesPlace(Path(folder), "csv")
        place.path("part").write_text("id,x\n" + content, newline="")
        os.utime(place.path("part"), (0, 0))
        whole = Reader(place)
        expected = whole.drain()
        patch.setattr(text_rows, "_FIRST_READ", first_read)
        pieces = Reader(place)
        assert pieces.drain(max_rows=max_rows) == expected
        assert [row for batch in pieces.batches for row in pieces.values(batch)] == expected
