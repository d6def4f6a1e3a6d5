"""Profiles with slices and seasons in the lake: beside those that older versions wrote, and of answered rows only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

from flywheel.drift.baseline import Baseline, fit_baseline
from flywheel.drift.check import check_window
from flywheel.drift.measured import Measured
from flywheel.drift.profile import counts_by_feature
from flywheel.lake.storage import Location, StorageMap
from flywheel.lake.tables import PROFILES, LakeTable, pipeline_tables
from flywheel.maintenance.compact import compact_table
from flywheel.manifest.drift import DriftConfig
from flywheel.monitoring.profiles import profile_rows
from flywheel.monitoring.window import latest_window

NOW = datetime(2024, 5, 15, tzinfo=UTC)
WEEK = DriftConfig(window=timedelta(days=7), slices=["carrier"])
BY_ROWS = DriftConfig(window_size=600, slices=["carrier"])
MEASURED = [Measured("price", "numeric"), Measured("prediction.score", "numeric")]


def rows(seed: int, count: int = 300, dearer: str | None = None) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    carrier = rng.choice(["UA", "B6", "AA"], count)
    first = NOW - timedelta(days=1)
    return pl.DataFrame(
        {
            "event_time": [first + timedelta(minutes=int(minute)) for minute in rng.integers(0, 1400, count)],
            "carrier": carrier,
            "price": rng.normal(size=count) + 1.2 * (carrier == dearer),
            "prediction": pl.DataFrame({"score": rng.random(count)}).to_struct(),
            "status": "ok",
        }
    ).with_columns(pl.col("event_time").cast(pl.Datetime("us", "UTC")))


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    slices = [Measured("carrier", "category")]
    return fit_baseline(rows(0, 5000), MEASURED, "b", as_of=NOW, slices=slices, seasonal="hour_of_day")


@pytest.fixture
def profiles(tmp_path: Path) -> LakeTable:
    return pipeline_tables(Location(str(tmp_path)), "orders", pl.Schema({"prediction_id": pl.String()})).profiles


def log(profiles: LakeTable, baseline: Baseline, number: int, **drawn: str) -> None:
    profiles.append_once(profile_rows(rows(number, **drawn), baseline, number, NOW), "orders", number)


def log_as_before(profiles: LakeTable, baseline: Baseline, number: int) -> None:
    """As the version did that knew of no slices: the column is not in the table."""
    plain = baseline.model_copy(update={"sliced": []})
    old = profile_rows(rows(number), plain, number, NOW).drop("slice")
    write_deltalake(profiles.location.uri, old.to_arrow(), mode="append", partition_by=["date"])


@pytest.mark.parametrize("config", [WEEK, BY_ROWS])
def test_a_table_from_before_slices_is_read(profiles: LakeTable, baseline: Baseline, config: DriftConfig) -> None:
    log_as_before(profiles, baseline, 1)
    log_as_before(profiles, baseline, 2)
    window = latest_window(profiles, baseline.id, config, NOW)
    assert (window.first_batch, window.last_batch, window.rows) == (1, 2, 600)
    assert counts_by_feature(window.counts, baseline)["price"].sum() == 600
    assert check_window(baseline, window.counts, window.rows, config).outcome == "no_drift"


@pytest.mark.parametrize("config", [WEEK, BY_ROWS])
def test_a_table_from_before_slices_takes_them(profiles: LakeTable, baseline: Baseline, config: DriftConfig) -> None:
    log_as_before(profiles, baseline, 1)
    log(profiles, baseline, 2, dearer="AA")
    log(profiles, baseline, 2, dearer="AA")
    assert profiles.read(profiles.files()).schema == PROFILES
    window = latest_window(profiles, baseline.id, config, NOW)
    assert window.rows == 600
    assert counts_by_feature(window.counts, baseline)["price"].sum() == 600
    by = baseline.slices("carrier")
    assert by is not None
    assert by.tables_of(window.counts)["price"].sum() == 300, "of the batch that has slices"
    findings = check_window(baseline, window.counts, window.rows, config)
    assert "price where carrier = AA" in {each.title for each in findings.features}


def test_compaction_keeps_both(profiles: LakeTable, baseline: Baseline) -> None:
    for number in (1, 2):
        log_as_before(profiles, baseline, number)
    for number in (3, 4):
        log(profiles, baseline, number)
    before = latest_window(profiles, baseline.id, WEEK, NOW)
    files = len(profiles.files())
    compact_table(StorageMap(), profiles.location)
    assert len(profiles.files()) < files
    after = latest_window(profiles, baseline.id, WEEK, NOW)
    assert after.counts.equals(before.counts)
    assert after.rows == before.rows == 1200


def test_slices_of_the_models_answers_are_those_that_it_gave(baseline: Baseline) -> None:
    some = rows(1).with_columns(status=pl.Series(["ok", "passthrough"] * 150))
    lines = profile_rows(some, baseline, 1, NOW).filter(pl.col("slice").str.starts_with("carrier = "))
    by_feature = dict(lines.group_by("feature").agg(pl.col("count").sum()).rows())
    assert by_feature == {"price": 300, "prediction.score": 150}


def test_every_season_and_slice_of_a_batch_is_there_once(baseline: Baseline) -> None:
    some = rows(1)
    lines = profile_rows(some, baseline, 1, NOW).filter(pl.col("feature") == "price")
    sums = dict(lines.group_by("slice").agg(pl.col("count").sum()).rows())
    hours = some.group_by(pl.col("event_time").dt.strftime("%H:00")).len().rows()
    carriers = some.group_by("carrier").len().rows()
    assert sums == {None: 300} | dict(hours) | {f"carrier = {name}": count for name, count in carriers}
