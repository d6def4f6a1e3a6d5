from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from flywheel.datasets.service_metrics import service_metrics, write_service_metrics
from flywheel.datasets.signals import Drift

START = datetime(2026, 1, 1, tzinfo=UTC)


def _cpu(records: pl.DataFrame) -> pl.DataFrame:
    metrics = pl.col("metrics").struct
    return records.select(
        "timestamp",
        pl.col("metadata").struct.field("trace_id"),
        cpu=metrics.field("cpu").struct.field("usage_percent"),
        errors=metrics.field("http").struct.field("error_rate"),
    )


def test_a_record_a_minute_and_service_in_the_manifests_shape() -> None:
    records = service_metrics(START, days=2).records
    assert records.height == 2 * 1440 * 8
    flat = _cpu(records)
    assert flat["trace_id"].n_unique() == flat.height
    assert flat["cpu"].is_between(0, 100).all()
    assert flat["errors"].is_between(0, 1).all()
    assert flat["timestamp"].is_sorted()


def test_incidents_show_in_both_metrics_and_are_reported_once_over() -> None:
    made = service_metrics(START, days=7, seed=1)
    reported = made.events.unnest("metadata").filter(pl.col("event") == "incident_created")
    in_incident = _cpu(made.records).join(reported, on="trace_id", suffix="_event")
    usual = _cpu(made.records).join(reported, on="trace_id", how="anti")
    assert in_incident["cpu"].mean() > usual["cpu"].mean() + 15  # type: ignore[operator]
    assert in_incident["errors"].mean() > 10 * usual["errors"].mean()  # type: ignore[operator]
    assert (in_incident["timestamp_event"] > in_incident["timestamp"]).all()
    assert (in_incident["received_at"] > in_incident["timestamp_event"]).all()
    assert set(made.events["event"]) == {"incident_created", "alert_dismissed"}


def test_drift_raises_the_cpu_from_its_day_on() -> None:
    plain, drifting = (_cpu(service_metrics(START, 6, 1, drift).records) for drift in (None, Drift(3, 4.0)))
    rise = drifting["cpu"] - plain["cpu"]
    assert (rise[: 3 * 11_520] == 0).all()
    assert 9 < rise[-11_520:].mean() < 11  # type: ignore[operator]


def test_files_hold_everything_and_history_comes_before(tmp_path: Path) -> None:
    assert write_service_metrics(tmp_path, days=2, history_days=1) == 2 * 11_520
    assert [path.name for path in sorted((tmp_path / "metrics").iterdir())] == [
        "2026-01-01.ndjson",
        "2026-01-02.ndjson",
    ]
    assert [path.name for path in (tmp_path / "history").iterdir()] == ["2025-12-31.ndjson"]
    records = [json.loads(line) for path in (tmp_path / "metrics").iterdir() for line in path.read_text().splitlines()]
    ids = {record["metadata"]["trace_id"] for record in records}
    assert len(ids) == 2 * 11_520
    events = [json.loads(line) for path in (tmp_path / "incidents").iterdir() for line in path.read_text().splitlines()]
    assert {event["metadata"]["trace_id"] for event in events} <= ids


def test_history_has_no_drift_and_the_same_services(tmp_path: Path) -> None:
    write_service_metrics(tmp_path / "a", days=1, history_days=1)
    write_service_metrics(tmp_path / "b", days=1, history_days=1, drift=Drift(0, 20.0))
    history = [(tmp_path / name / "history" / "2025-12-31.ndjson").read_bytes() for name in "ab"]
    assert history[0] == history[1]


def test_the_same_bytes_for_a_seed_and_others_for_another(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_service_metrics(tmp_path / name, days=1, seed=seed, history_days=1, bad_records=7)
    text = {name: (tmp_path / name / "metrics" / "2026-01-01.ndjson").read_bytes() for name in "abc"}
    assert text["a"] == text["b"] != text["c"]


@pytest.mark.parametrize("count", [1, 5, 12])
def test_bad_records_are_as_many_as_asked_for(tmp_path: Path, count: int) -> None:
    write_service_metrics(tmp_path / "good", days=2, history_days=1)
    write_service_metrics(tmp_path / "bad", days=2, history_days=1, bad_records=count)
    lines = {
        name: [
            line for path in sorted((tmp_path / name / "metrics").iterdir()) for line in path.read_text().splitlines()
        ]
        for name in ("good", "bad")
    }
    untouched = set(lines["good"]) & set(lines["bad"])
    duplicates = len(lines["bad"]) - len(set(lines["bad"]))
    assert len(lines["good"]) - len(untouched) + duplicates == count
