"""Which batches a drift window is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.measured import Measured
from flywheel.lake.storage import Location, StorageMap
from flywheel.lake.tables import LakeTable, pipeline_tables
from flywheel.maintenance.compact import compact_table
from flywheel.manifest.drift import DriftConfig
from flywheel.monitoring.profiles import profile_rows
from flywheel.monitoring.window import Window, latest_window

NOW = datetime(2024, 5, 15, tzinfo=UTC)
WEEK = DriftConfig(window=timedelta(days=7))


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return fit_baseline(_rows(NOW - timedelta(days=60), NOW, 100), [Measured("price", "numeric")], "b", as_of=NOW)


@pytest.fixture
def profiles(tmp_path: Path) -> LakeTable:
    return pipeline_tables(Location(str(tmp_path)), "orders", pl.Schema({"prediction_id": pl.String()})).profiles


def _rows(first: datetime, last: datetime, count: int) -> pl.DataFrame:
    times = pl.datetime_range(first, last, (last - first) / (count - 1), time_unit="us", eager=True)[:count]
    return pl.DataFrame({"event_time": times, "price": range(len(times)), "status": "ok"}).cast({"price": pl.Float64})


def _log(profiles: LakeTable, baseline: Baseline, number: int, first: datetime, last: datetime) -> None:
    rows = profile_rows(_rows(first, last, 10), baseline, number, NOW)
    profiles.append_once(rows, "orders", number)


def _batches(window: Window) -> tuple[int, int, int]:
    return window.first_batch, window.last_batch, window.rows


def test_a_batch_that_spans_more_than_the_window_is_in_it(profiles: LakeTable, baseline: Baseline) -> None:
    _log(profiles, baseline, 1, NOW - timedelta(days=30), NOW - timedelta(hours=1))
    assert _batches(latest_window(profiles, baseline.id, WEEK, NOW)) == (1, 1, 10)


def test_batches_whose_newest_event_is_too_old_are_not(profiles: LakeTable, baseline: Baseline) -> None:
    _log(profiles, baseline, 1, NOW - timedelta(days=14), NOW - timedelta(days=7, hours=1))
    _log(profiles, baseline, 2, NOW - timedelta(days=7), NOW - timedelta(days=6))
    assert _batches(latest_window(profiles, baseline.id, WEEK, NOW)) == (2, 2, 10)


def test_a_record_that_is_known_before_its_event_counts(profiles: LakeTable, baseline: Baseline) -> None:
    _log(profiles, baseline, 1, NOW, NOW + timedelta(days=3))
    assert _batches(latest_window(profiles, baseline.id, WEEK, NOW)) == (1, 1, 10)


@pytest.mark.parametrize("config", [WEEK, DriftConfig(window_size=25)])
def test_of_batches_on_several_baselines_those_on_this_one_are_summed(
    profiles: LakeTable, baseline: Baseline, config: DriftConfig
) -> None:
    """As after a promotion, and a reprofile of the batches before it; compaction mixes them in one file."""
    other = baseline.model_copy(update={"id": "older"})
    day = timedelta(days=1)
    for number in (1, 2):
        _log(profiles, other, number, NOW - 3 * day, NOW - 2 * day)
    for number in (3, 4):
        _log(profiles, baseline, number, NOW - 2 * day, NOW - day)
    before = latest_window(profiles, baseline.id, config, NOW)
    assert _batches(before) == (3, 4, 20)
    assert before.counts["count"].sum() == 20
    again = profile_rows(_rows(NOW - 3 * day, NOW - 2 * day, 10), baseline, 2, NOW)
    profiles.append_once(again, "orders/again", 2)
    compact_table(StorageMap(), profiles.location)
    after = latest_window(profiles, baseline.id, config, NOW)
    assert (_batches(after), after.batches) == ((2, 4, 30), (2, 3, 4))
    assert after.counts["count"].sum() == 30
    older = latest_window(profiles, "older", config, NOW)
    assert older.rows == 0, "batches on another baseline only came after"
