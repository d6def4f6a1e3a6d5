"""Which batches a drift window is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.measured import Measured
from flywheel.lake.storage import Location
from flywheel.lake.tables import LakeTable, pipeline_tables
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
