"""What a user of the bundled anomaly pipeline relies on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from metrics_week import BAD_RECORDS, DAYS, HISTORY_DAYS, NAME, QUIET_DAYS, RECORDS, Week, end_of
from sklearn.metrics import average_precision_score, roc_auc_score

from flywheel.cli import main
from flywheel.export.read import read_export

Ask = Callable[..., Any]


@pytest.fixture
def ask(week: Week, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Call a reading command in the workspace's folder and return its JSON."""
    monkeypatch.chdir(week.root)

    def call(*arguments: str) -> Any:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([*arguments, "--json"])
        assert not exit_.value.code
        return json.loads(capsys.readouterr().out)

    return call


def _answered(week: Week) -> pl.DataFrame:
    """The model's own answers, with whether the record was in an incident."""
    in_incident = pl.col("prediction_id").is_in(week.incidents().implode())
    return week.table("predictions").filter(status="ok").with_columns(truth=in_incident)


def test_the_first_champion_learns_from_history_without_labels(week: Week) -> None:
    assert (week.first.outcome, week.first.candidate) == ("promoted", 1)
    champion = week.context.registry.champion("isolation-forest-v3")
    assert champion is not None
    assert (champion.card.algorithm, champion.card.rows) == ("isolation_forest", HISTORY_DAYS * 11_520)


def test_every_record_is_logged_once_or_quarantined_with_its_reason(week: Week) -> None:
    predictions, quarantine = week.table("predictions"), week.table("quarantine")
    assert predictions["prediction_id"].n_unique() == predictions.height
    # A spoiled record is quarantined; of one that comes twice the first is scored.
    assert quarantine.height == BAD_RECORDS
    repeated = quarantine["reason"].str.contains("came earlier").sum()
    assert predictions.height == RECORDS - BAD_RECORDS + repeated
    assert quarantine["reason"].is_not_null().all()


def test_requests_meet_the_manifests_deadline(week: Week) -> None:
    """64 rows in 100 ms, four requests at once, on a machine that does other things."""
    scored = sum(summary.ok for summary in week.inferred)
    assert scored > 0.95 * RECORDS


def test_the_score_finds_the_incidents(week: Week) -> None:
    quiet = _answered(week).filter(pl.col("event_time") < end_of(QUIET_DAYS))
    assert quiet["truth"].sum() > 100
    assert roc_auc_score(quiet["truth"], quiet["score"]) > 0.99
    assert average_precision_score(quiet["truth"], quiet["score"]) > 0.9


def test_alerts_about_incidents_arrive_once_in_alertmanagers_format(week: Week) -> None:
    due = _answered(week).filter(pl.col("is_anomaly") & (pl.col("score") > 0.8))
    assert due.height > 50
    assert sorted(week.receiver.ids) == sorted(due["prediction_id"])
    assert due["truth"].mean() > 0.95  # type: ignore[operator]
    assert {path for path, _ in week.receiver.posts} == {"/api/v2/alerts"}
    alert = week.receiver.alerts[0]
    assert alert["labels"].items() >= {"alertname": "FlywheelPrediction", "pipeline": NAME, "severity": "page"}.items()
    told = json.loads(alert["annotations"]["prediction"])
    assert told["anomaly_prediction"]["score"] > 0.8
    assert alert["startsAt"] == told["event_time"]


def test_a_run_without_new_records_sends_nothing_again(week: Week) -> None:
    assert week.inferred[-1].batches == 0
    assert len(set(week.receiver.ids)) == len(week.receiver.ids)


def test_the_other_sink_has_every_prediction(week: Week) -> None:
    analytics = pl.read_delta(str(week.root / ".flywheel" / "analytics" / NAME))
    assert sorted(analytics["prediction_id"]) == sorted(week.table("predictions")["prediction_id"])


def test_what_on_call_people_said_becomes_labels(week: Week) -> None:
    labels = week.table("labels")
    rules = {("incident_created", "anomaly", 0.95), ("alert_dismissed", "normal", 0.7)}
    assert set(labels.select("event", "label", "confidence").unique().iter_rows()) == rules
    assert (labels["received_at"] <= end_of(DAYS)).all()
    predicted = week.table("predictions").filter(pl.col("event_time") < end_of(DAYS - 1))["prediction_id"]
    known = predicted.filter(predicted.is_in(week.incidents().implode()))
    labelled = labels.filter(label="anomaly")["prediction_id"]
    assert set(known) <= set(labelled)
    assert labels.height == sum(summary.labelled + summary.recovered for summary in week.joined)


def test_drift_fires_after_the_shift_and_not_before(week: Week) -> None:
    assert [check.outcome for check in week.checked] == ["no_drift"] * QUIET_DAYS + ["drift"] * (DAYS - QUIET_DAYS)
    assert "cpu_usage" in week.checked[-1].reason


def test_the_shadow_mode_of_the_manifest_only_measures(week: Week) -> None:
    assert {check.action for check in week.checked} == {"none"}
    assert "shadow" in week.checked[-1].reason


def test_the_export_keeps_the_anomalies_and_weighs_the_rest(week: Week) -> None:
    assert week.export is not None
    folder = f"s3://training-data/anomaly/{week.export.export_id}"
    rows = read_export(week.context.storage, folder)
    labels = week.table("labels")
    assert set(rows.select("label", "weight").unique().iter_rows()) == {("anomaly", 1.0), ("normal", 20.0)}
    assert rows.filter(label="anomaly").height == labels.filter(label="anomaly")["prediction_id"].n_unique()
    local = week.root / ".flywheel" / "s3" / "training-data" / "anomaly" / week.export.export_id
    assert {path.parent.relative_to(local).parts[1] for path in local.rglob("*.parquet")} == {"model_version=1"}


def test_the_commands_tell_what_happened(week: Week, ask: Ask) -> None:
    found = ask("stats", "-p", NAME)
    assert str(week.table("predictions").height) in json.dumps(found)
    history = ask("drift", "history", "-p", NAME)
    assert [check["outcome"] for check in reversed(history)] == [check.outcome for check in week.checked]
    (status,) = ask("drift", "status", "-p", NAME)
    assert status["severity"] in ("medium", "high", "critical")
    (listed,) = ask("model", "list")
    assert (listed["model_id"], listed["champion"]) == ("isolation-forest-v3", 1)
