"""Ids that the log has are found among a batch's, whatever is kept in memory of the log."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.lake.live import live_files
from flywheel.lake.storage import Location
from flywheel.lake.tables import LakeTable
from flywheel.records.sample_key import sample_keys
from flywheel.scoring.logged import LoggedKeys, logged_ids

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDS = st.lists(st.integers(0, 40), min_size=1, max_size=12, unique=True)


def batch(ids: list[int], number: int, has_keys: bool = True) -> pl.DataFrame:
    frame = pl.DataFrame({"prediction_id": [str(each) for each in ids]})
    keys = sample_keys(frame["prediction_id"]) if has_keys else pl.lit(None, pl.Int64).alias("sample_key")
    return frame.with_columns(keys, event_time=pl.lit(NOON, pl.Datetime("us", "UTC")), batch_id=pl.lit(number))


def dated(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(date=pl.col("event_time").dt.date())


def table_at(folder: object) -> LakeTable:
    return LakeTable(Location(f"{folder}/predictions"), dated(batch([1], 1)).schema)


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.tuples(IDS, st.booleans()), min_size=1, max_size=6))
def test_what_is_found_is_what_was_logged(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[list[int], bool]]
) -> None:
    table, logged = table_at(tmp_path_factory.mktemp("lake")), set[str]()
    for number, (ids, has_keys) in enumerate(batches, start=1):
        asked = batch(ids, number)
        found = logged_ids(table, asked, number)["prediction_id"].to_list()
        assert set(found) == logged & set(asked["prediction_id"])
        table.append_once(dated(batch(ids, number, has_keys)), "app", number)
        logged |= set(asked["prediction_id"])


@pytest.mark.parametrize("most", [1_000, 25])
def test_keys_beyond_what_is_kept_are_looked_up_in_the_files(tmp_path: object, most: int) -> None:
    table, keys = table_at(tmp_path), LoggedKeys(most)
    for number in range(4):
        table.append_once(dated(batch(list(range(10 * number, 10 * number + 10)), number + 1)), "app", number + 1)
        files = live_files(table.location, (NOON.date(), NOON.date()))
        assert all(keys.may_have(table, files, sample_keys(pl.Series([str(i)]))) for i in range(10 * number + 10))
        assert not keys.may_have(table, files, sample_keys(pl.Series(["1000", "1001"])))
