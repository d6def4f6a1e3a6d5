"""Each sink, with the real thing behind it: a folder, a Delta table, an HTTP server, the log."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import LogSinkSpec, SinkSpec, TableSinkSpec, WebhookSinkSpec
from flywheel.manifest.pipeline import SinkRef
from flywheel.sinks.base import Sink, SinkBatch, SinkError
from flywheel.sinks.open import open_sink
from flywheel.sinks.select import select_rows


def opened(spec: SinkSpec, folder: Path = Path()) -> Sink:
    return open_sink("crm", spec, StorageMap(base=folder))


def webhook(url: str, **options: Any) -> Sink:
    return opened(WebhookSinkSpec(type="webhook", url=url, **options))


def test_a_delta_sink_takes_a_batch_once(tmp_path: Path, batch: SinkBatch) -> None:
    sink = opened(TableSinkSpec(type="table", uri="out"), tmp_path)
    assert [sink.deliver(batch), sink.deliver(batch)] == [4, 4]
    assert sink.deliver(replace(batch, number=8)) == 4
    assert sink.deliver(replace(batch, pipeline="other")) == 4
    assert sink.deliver(replace(batch, number=9, rows=batch.rows.clear())) == 0
    read = pl.read_delta(str(tmp_path / "out"))
    assert read.height == 12
    assert read.head(4).sort("prediction_id").equals(batch.rows)
    assert DeltaTable(tmp_path / "out").version() == 3


def test_a_delta_sink_follows_a_new_feature(tmp_path: Path, batch: SinkBatch) -> None:
    sink = opened(TableSinkSpec(type="table", uri="out"), tmp_path)
    sink.deliver(batch)
    sink.deliver(replace(batch, number=8, rows=batch.rows.with_columns(memory=pl.lit(0.5))))
    assert pl.read_delta(str(tmp_path / "out"))["memory"].null_count() == 4


def test_a_parquet_sink_writes_the_same_bytes_again(tmp_path: Path, batch: SinkBatch) -> None:
    sink = opened(TableSinkSpec(type="table", uri="out/", format="parquet"), tmp_path)
    assert sink.deliver(batch) == 4
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "anomaly-detection-00000007.parquet"
    before = file.read_bytes()
    assert sink.deliver(batch) == 4
    assert [path.read_bytes() for path in (tmp_path / "out").iterdir()] == [before]
    assert pl.read_parquet(file).equals(batch.rows)
    assert sink.deliver(replace(batch, number=8, rows=batch.rows.clear())) == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_webhook_posts_alerts_as_alertmanager_takes_them(alertmanager: Any, batch: SinkBatch) -> None:
    sink = webhook(alertmanager.url, labels={"team": "ml", "alertname": "Anomaly"}, token="s3cret")
    assert sink.deliver(batch) == 4
    ((path, headers, alerts),) = alertmanager.requests
    assert path == "/api/v2/alerts"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "anomaly-detection/7/0"
    assert alerts[0] == {
        "labels": {"alertname": "Anomaly", "pipeline": "anomaly-detection", "team": "ml", "prediction_id": "p0"},
        "annotations": {
            "summary": "anomaly-detection: prediction p0",
            "batch": "7",
            "prediction": alerts[0]["annotations"]["prediction"],
        },
        "startsAt": "2013-01-01T00:00:00.000000Z",
    }
    rows = [json.loads(alert["annotations"]["prediction"]) for alert in alerts]
    assert rows[0]["anomaly_prediction"] == {"is_anomaly": True, "score": 0.0}
    assert "anomaly_prediction" not in rows[1]
    assert rows[2]["anomaly_prediction"] is None


def test_a_webhook_sends_long_batches_in_pieces(alertmanager: Any, long_batch: SinkBatch) -> None:
    assert webhook(alertmanager.url).deliver(long_batch) == 1201
    sent = [alerts for _path, _headers, alerts in alertmanager.requests]
    assert [len(alerts) for alerts in sent] == [500, 500, 201]
    assert [alert["labels"]["prediction_id"] for alerts in sent for alert in alerts] == [f"p{i}" for i in range(1201)]


def test_nothing_is_posted_for_no_rows(alertmanager: Any, batch: SinkBatch) -> None:
    assert webhook(alertmanager.url).deliver(replace(batch, rows=batch.rows.clear())) == 0
    assert alertmanager.requests == []


@pytest.mark.parametrize("status", [400, 401, 503])
def test_a_refused_batch_names_the_sink_the_batch_and_the_status(
    alertmanager: Any, batch: SinkBatch, status: int
) -> None:
    alertmanager.status = status
    with pytest.raises(SinkError) as raised:
        webhook(alertmanager.url, token="s3cret").deliver(batch)
    text = str(raised.value)
    assert text.startswith("sink 'crm' did not take batch 7 of anomaly-detection: http://127.0.0.1:")
    assert f'answered {status} {{"message": "as asked"}}' in text
    assert "stays undelivered" in text
    assert "s3cret" not in text


def test_an_address_where_nobody_answers(batch: SinkBatch) -> None:
    with pytest.raises(SinkError, match="can't be reached"):
        webhook("http://127.0.0.1:1", timeout_seconds=1).deliver(batch)


def test_the_log_sink_writes_json_lines_up_to_its_limit(batch: SinkBatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="flywheel.sinks"):
        assert opened(LogSinkSpec(type="log", limit=3)).deliver(batch) == 3
    lines = [record.getMessage() for record in caplog.records]
    assert [json.loads(line)["prediction_id"] for line in lines[:3]] == ["p0", "p1", "p2"]
    assert json.loads(lines[0])["event_time"] == "2013-01-01T00:00:00.000000Z"
    assert "anomaly_prediction" not in json.loads(lines[1])
    assert lines[3:] == ["crm: 1 more rows of batch 7 of anomaly-detection"]


def test_a_condition_selects_rows_and_a_missing_prediction_is_never_selected(batch: SinkBatch) -> None:
    ref = SinkRef(name="crm", condition="anomaly_prediction.is_anomaly && anomaly_prediction.score >= 0.0")
    assert select_rows(batch.rows, ref, batch.rows.schema)["prediction_id"].to_list() == ["p0"]
    negated = SinkRef(name="crm", condition="!anomaly_prediction.is_anomaly")
    assert select_rows(batch.rows, negated, batch.rows.schema)["prediction_id"].to_list() == ["p3"]


def test_all_selects_every_row(batch: SinkBatch) -> None:
    assert select_rows(batch.rows, SinkRef(name="crm", all=True), batch.rows.schema).equals(batch.rows)
