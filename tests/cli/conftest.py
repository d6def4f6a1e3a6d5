from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flywheel.cli import main
from flywheel.metadata.database import Database
from flywheel.metadata.revisions import Revisions
from flywheel.metadata.schema import (
    Batch,
    Delivery,
    DriftCheck,
    EndpointHealth,
    Export,
    ModelEvent,
    ModelVersion,
    PerformanceWindow,
    Retraining,
    Review,
)
from flywheel.workspace import Workspace

PIPELINES = Path(__file__).parents[2] / "deployments" / "pipelines"
AS_OF = datetime(2013, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([*arguments])
        printed = capsys.readouterr()
        return Answer(int(exit_.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A workspace with its tables and nothing in them, in the working directory."""
    monkeypatch.chdir(tmp_path)
    database = Workspace().database()
    database.create()
    return database


@pytest.fixture
def filled(empty: Database) -> Database:
    """A workspace in which flight-delays has run, drifted, and retrained."""
    revisions = Revisions(empty)
    revisions.apply("flight-delays", (PIPELINES / "flight-delays.yaml").read_text().partition("\n---\n")[0], None)
    revisions.save_connection("Source", "flights", {"type": "files", "uri": "in", "format": "parquet"})
    revisions.save_connection("Sink", "late-alerts", {"type": "log", "limit": 100})
    fill(empty)
    return empty


def fill(database: Database) -> None:
    now = datetime.now(UTC)
    with database.session() as session:
        for number in (1, 2, 3):
            session.add(
                batch(
                    number,
                    now - timedelta(hours=4 - number),
                    {"records": 1000, "ok": 950, "fallback": 40, "quarantined": 10},
                    {"slices": [], "model_id": "late-arrival", "model_version": 1 if number < 3 else 2},
                )
            )
            for sink in ("late-alerts", "flight-analytics"):
                session.add(Delivery(pipeline="flight-delays", number=number, sink=sink, rows=5, delivered_at=now))
        for number, waiting in ((1, 70), (2, 30)):
            counts = {
                "labelled": 900, "duplicates": 3, "late": 2, "unlabelled": 1, "recovered": 4,
                "waiting": waiting, "orphans": 5, "conflicts": 6, "quarantined": 0,
            }  # fmt: skip
            session.add(batch(number, now, counts, {"slices": []}, feed="feedback"))
        for version, status, auc in ((1, "archived", 0.68), (2, "champion", 0.73), (3, "candidate", 0.74)):
            session.add(model(version, status, {"auc": auc, "log_loss": 1 - auc}))
        session.flush()
        for version, event, why in (
            (1, "promoted", "the first"), (2, "registered", ""), (1, "archived", ""), (2, "promoted", "auc is better"),
        ):  # fmt: skip
            session.add(
                ModelEvent(
                    model_id="late-arrival", version=version, event=event, reason=why, details={"auc": 0.73},
                    as_of=AS_OF, recorded_at=now,
                )
            )  # fmt: skip
        session.add(check("2013-02", AS_OF - timedelta(days=28), "no_drift", "none", "none"))
        session.add(check("2013-03", AS_OF, "drift", "high", "retrain"))
        session.add(
            Retraining(
                pipeline="flight-delays", key="2013-03", as_of=AS_OF, status="done", outcome="promoted", reason="",
                candidate=2, started_at=now, finished_at=now,
            )
        )  # fmt: skip
        session.add_all([performance(1, "final", 0.52), performance(2, "open", None)])
        session.add(
            Export(
                id="e-1", pipeline="flight-delays", as_of=AS_OF, uri="/out/e-1", rows=500, manifest={}, created_at=now
            )
        )
        session.add(
            Review(
                model_id="late-arrival", version=3, pipeline="flight-delays", decision="pending", comment="",
                asked_at=now, decided_at=None,
            )
        )  # fmt: skip
        session.add(endpoint("closed"))


def batch(
    number: int, committed_at: datetime | None, counts: dict[str, int], plan: dict[str, Any], feed: str = "records"
) -> Batch:
    return Batch(
        pipeline="flight-delays", feed=feed, number=number, revision=1, as_of=AS_OF + timedelta(days=number), plan=plan,
        status="committed" if committed_at else "planned", counts=counts, committed_at=committed_at,
        planned_at=committed_at or datetime.now(UTC),
    )  # fmt: skip


def model(version: int, status: str, metrics: dict[str, float]) -> ModelVersion:
    card = {
        "task": "classification", "algorithm": "hist_gradient_boosting", "parameters": {"max_iter": 100 + version},
        "rows": 20_000 * version, "trained_from": "2013-01-01T10:15:00Z", "trained_to": "2013-02-01T00:00:00Z",
        "as_of": "2013-02-01T00:00:00Z", "export_id": None, "baseline_id": f"b-{version}",
    }  # fmt: skip
    return ModelVersion(
        model_id="late-arrival", version=version, pipeline="flight-delays", training_key=f"k-{version}", status=status,
        uri=f"late-arrival/{version}.skops", sha256="0" * 64, card=card, metrics=metrics, created_at=AS_OF,
    )  # fmt: skip


def check(name: str, as_of: datetime, outcome: str, severity: str, action: str) -> DriftCheck:
    finding = {
        "feature": "temp", "kind": "numeric", "severity": severity, "worst_measure": "psi", "threshold": 0.25,
        "ratio": 2.4, "measures": {"psi": 0.6, "ks": 0.3, "missing_rate": None},
    }  # fmt: skip
    return DriftCheck(
        id=name, pipeline="flight-delays", as_of=as_of, baseline_id="b-1", first_batch=1, last_batch=3, rows=3000,
        outcome=outcome, severity=severity, action=action, reason="1 of 17 features drifted [temp]", measures=[finding],
        checked_at=datetime.now(UTC),
    )  # fmt: skip


def performance(week: int, state: str, loss: float | None) -> PerformanceWindow:
    known = {"value": loss, "low": loss and loss - 0.01, "high": loss and loss + 0.01, "estimated": 0.53}
    start = AS_OF + timedelta(weeks=week)
    return PerformanceWindow(
        pipeline="flight-delays", model_id="late-arrival", version=0, window_start=start, as_of=AS_OF, state=state,
        window_end=start + timedelta(weeks=1), rows=6000, labelled=5000, expected=5800.0, measured=4000,
        metrics={"log_loss": known}, note="" if loss else "not known yet: 12 of 6,000 predictions have a label",
        calculated_at=datetime.now(UTC),
    )  # fmt: skip


def endpoint(state: str, error: str = "") -> EndpointHealth:
    return EndpointHealth(
        endpoint="127.0.0.1:50051", model_id="late-arrival", state=state, failures=0 if state == "closed" else 5,
        probes=0, opened_at=None, last_error=error, updated_at=datetime.now(UTC), generation=1,
    )  # fmt: skip
