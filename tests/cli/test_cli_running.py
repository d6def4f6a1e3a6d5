"""Flows, orchestration, exports and datasets from the command line."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from flywheel.cli import plugins
from flywheel.context import Connections, open_pipeline
from flywheel.errors import FlywheelError
from flywheel.metadata.database import Database
from flywheel.records.sample_key import sample_keys
from flywheel.workspace import Workspace


@dataclass(frozen=True)
class Summary:
    pipeline: str
    as_of: datetime | None
    records: int


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another distribution would declare as entry points."""
    module = ModuleType("pretended_flows")

    def infer(pipeline: str, as_of: datetime | None) -> Summary:
        sys.stdout.write("a flow that talks\n")
        if as_of is not None and as_of.year < 2000:
            raise FlywheelError("the model server is away", state="batch 7 stays planned", next_step="flywheel up")
        return Summary(pipeline, as_of, 12_000)

    vars(module).update(
        infer=infer,
        init=lambda workspace: [f"metadata: {workspace.home}"],
        delete=lambda name, workspace: [f"pipeline {name}: out of service"],
        logs=lambda name, follow: iter([f"{name} line 1", f"follow {follow}"]),
    )
    monkeypatch.setitem(sys.modules, "pretended_flows", module)
    # Commands choose a server database where nobody has; what they choose must not outlive the test.
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "")
    monkeypatch.delenv("PREFECT_SERVER_DATABASE_CONNECTION_URL")
    monkeypatch.setenv("PREFECT_HOME", "chosen")
    found = [EntryPoint("infer", "pretended_flows:infer", plugins.FLOWS)]
    found += [
        EntryPoint(name, f"pretended_flows:{name}", plugins.ORCHESTRATION) for name in ("init", "delete", "logs", "up")
    ]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: EntryPoints(each for each in found if each.group == group)
    )


@pytest.mark.usefixtures("filled", "installed")
def test_run_calls_the_flow_with_the_pipeline_and_the_time(run: Any) -> None:
    answer = run("run", "infer", "-p", "flight-delays", "--as-of", "2013-03-01T06:00:00-05:00", "--json")
    assert answer.code == 0
    assert answer.json() == {"pipeline": "flight-delays", "as_of": "2013-03-01T11:00:00Z", "records": 12000}
    assert "a flow that talks" in answer.err
    told = run("run", "infer", "-p", "flight-delays")
    assert "12,000" in told.out


@pytest.mark.usefixtures("filled", "installed")
def test_a_flow_that_fails_says_so_in_plain_words(run: Any) -> None:
    answer = run("run", "infer", "-p", "flight-delays", "--as-of", "1999-01-01", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "the model server is away" in answer.err
    assert "next: flywheel up" in answer.err


@pytest.mark.usefixtures("filled", "installed")
def test_a_pipeline_that_is_not_there_is_told_before_a_flow_is_loaded(run: Any) -> None:
    answer = run("run", "infer", "-p", "flight-delay")
    assert (answer.code, answer.out) == (1, "")
    assert "did you mean 'flight-delays'?" in answer.err
    assert "a flow that talks" not in answer.err


@pytest.mark.usefixtures("filled", "installed")
def test_our_own_errors_are_on_the_console_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.StringIO()
    handler = logging.StreamHandler(console)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])

    def infer(pipeline: str, as_of: datetime | None) -> None:
        try:
            raise FlywheelError("the model server is away")
        except FlywheelError:
            logging.getLogger("pretended_flows").exception("Encountered exception")
        try:
            raise ValueError("a bug")
        except ValueError:
            logging.getLogger("pretended_flows").exception("Encountered exception")

    monkeypatch.setattr(sys.modules["pretended_flows"], "infer", infer)
    assert run("run", "infer", "-p", "flight-delays").code == 0
    assert "a bug" in console.getvalue()
    assert "away" not in console.getvalue()
    assert not handler.filters


@pytest.mark.usefixtures("filled", "installed")
def test_the_server_of_a_command_keeps_its_database_in_the_workspace(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_HOME")
    run("init")
    url = os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    assert url == f"sqlite+aiosqlite:///{tmp_path}/.flywheel/prefect/prefect.db"
    assert (tmp_path / ".flywheel" / "prefect").is_dir()


@pytest.mark.usefixtures("filled", "installed")
@pytest.mark.parametrize("name", ["PREFECT_API_URL", "PREFECT_HOME"])
def test_a_server_that_somebody_has_chosen_is_left_alone(run: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv(name, "chosen")
    run("init")
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in os.environ


@pytest.mark.usefixtures("filled", "installed")
def test_orchestration_prints_the_lines_it_is_given(run: Any) -> None:
    assert run("init").out == "metadata: .flywheel\n"
    assert run("delete", "flight-delays").out == "pipeline flight-delays: out of service\n"
    assert run("logs", "flight-delays", "-f").out == "flight-delays line 1\nfollow True\n"


@pytest.mark.usefixtures("filled", "installed")
@pytest.mark.parametrize("command", ["demo", "up"])
def test_what_is_not_installed_or_does_not_load_is_told(run: Any, command: str) -> None:
    answer = run(command)
    assert (answer.code, answer.out) == (1, "")
    assert f"flywheel.orchestration:{command}" in answer.err
    assert "next: " in answer.err


def test_export_writes_the_labelled_rows_and_says_where(run: Any, filled: Database, tmp_path: Path) -> None:
    nothing = run("export", "-p", "flight-delays", "-o", "out")
    assert nothing.code == 1
    assert "no labelled predictions" in nothing.err
    _log_predictions(200)
    made = run("export", "-p", "flight-delays", "-o", "out", "--as-of", "2013-03-10", "--json")
    assert made.code == 0
    found = made.json()
    assert found["id"] == "flight-delays-20130310T000000Z"
    assert found["labels"]["late"] == 50  # positives are all kept
    assert found["rows"] == sum(found["labels"].values()) < 200
    folder = Path(found["folder"])
    assert folder == tmp_path / "out" / found["id"]
    rows = pl.concat([pl.read_parquet(folder / file) for file in found["files"]])
    assert rows.height == found["rows"] == json.loads((folder / "_export.json").read_text())["rows"]
    assert Path(found["report"]).exists()
    again = run("export", "-p", "flight-delays", "-o", "out", "--as-of", "2013-03-10")
    assert again.code == 0
    assert "late" in again.out


def test_datasets_are_written_where_the_bundled_manifests_look(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("dataset", "flights", "--from", "2013-02-01", "--to", "2013-02-01").code == 0
    assert run("dataset", "service-metrics", "--days", "1", "--bad-records", "3", "--drift-from", "0").code == 0
    for folder in ("flights/flights", "flights/landings", "flights/history", "service-metrics/metrics"):
        assert list((tmp_path / ".flywheel" / folder).iterdir())


def _log_predictions(count: int) -> None:
    """Log ``count`` predictions of one day, a quarter of them labelled late."""
    context = open_pipeline(Workspace(), "flight-delays", Connections())
    tables = context.tables
    ids = [f"f-{number}" for number in range(count)]
    when = datetime(2013, 3, 1, 12, tzinfo=UTC)
    numbers = {"distance": 500.0, "departure_hour": 9.0, "arrival_hour": 11.0, "weekday": 5, "day_of_year": 60}
    values: dict[str, Any] = {
        "event_time": when, "predicted_at": when, "model_id": "late-arrival", "model_version": 1, "variant": "champion",
        "batch_id": 1, "status": "ok", "date": when.date(), "prediction": {"label": "late", "score": 0.7},
        "carrier": "UA", "origin": "EWR", "dest": "IAH", **numbers,
    }  # fmt: skip
    schema = tables.predictions.schema
    columns = [pl.lit(values.get(name), dtype).alias(name) for name, dtype in schema.items() if name in values]
    rows = pl.DataFrame({"prediction_id": ids}).with_columns(*columns, sample_keys(pl.Series(ids)))
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in rows.columns]
    tables.predictions.append_once(rows.with_columns(missing), "flight-delays/records", 1)
    labels = pl.DataFrame({"prediction_id": ids}).with_columns(
        label=pl.when(pl.int_range(count) % 4 == 0).then(pl.lit("late")).otherwise(pl.lit("on_time")),
        confidence=pl.lit(1.0),
        event=pl.lit("landed"),
        event_time=pl.lit(when),
        received_at=pl.lit(when),
        batch_id=pl.lit(1),
        sample_key=sample_keys(pl.Series(ids)),
        date=pl.lit(when.date()),
    )
    tables.labels.append_once(labels, "flight-delays/feedback", 1)


@pytest.mark.usefixtures("filled")
def test_a_prefect_server_that_does_not_answer_is_told_without_a_traceback(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As httpx raises it under any Prefect client call."""
    import httpx

    def ask(workspace: Workspace) -> list[str]:
        httpx.get("http://127.0.0.1:1/api", timeout=2)
        return []

    monkeypatch.setattr("flywheel.cli.workspace.load_orchestration", lambda name: ask)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    answer = run("init")
    assert (answer.code, answer.out) == (1, "")
    assert "Prefect failed" in answer.err
    assert "http://127.0.0.1:1/api" in answer.err
