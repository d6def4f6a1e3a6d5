"""``flywheel up`` with a real Prefect server, worker and model server, as its user sees it.

The tests share one stack and run in this order: the first is served by it, the last one stops it.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from live import MODEL, NAME, RECORDS, ROOT, Stack, children_of, up, wait_for, write_beans

from deployments.names import NEVER_BEGAN, SILENT
from deployments.processes import free_port
from flywheel.context import Connections, open_pipeline
from flywheel.metadata.schema import Retraining

FLOWS = [
    "backfill", "backtest", "check-drift", "export-training", "infer", "join-feedback", "maintain",
    "measure-performance", "promote", "reconcile", "reprofile", "rescore", "retrain",
]  # fmt: skip
COFFEE = [f"{flow}/coffee" for flow in ("backfill", "infer", "maintain", "reconcile", "rescore")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """``beans`` with its first champion, and ``coffee``."""
    folder = tmp_path_factory.mktemp("live")
    address = f"127.0.0.1:{free_port()}"
    write_beans(folder, address)
    with up(folder, "--model-server", address, "-f", "beans.yaml") as stack:
        stack.flywheel(["run", "retrain", "-p", NAME])
        yield stack


def test_up_says_where_to_look_and_what_to_type_next(stack: Stack) -> None:
    said = stack.said()
    assert f"Prefect UI    {stack.api_url.removesuffix('/api')}\n" in said
    assert f"export PREFECT_API_URL={stack.api_url}" in said
    assert f"flywheel run retrain -p {NAME} " in said
    assert "deployment infer/beans: applied" in said


def test_a_run_by_prefects_own_command_logs_the_predictions(stack: Stack) -> None:
    assert "finished successfully" in stack.prefect("deployment", "run", f"infer/{NAME}", "--watch")
    tables = open_pipeline(stack.workspace, NAME, Connections()).tables
    rows = tables.predictions.read(tables.predictions.files())
    assert rows.height == RECORDS
    assert rows["model_id"].unique().to_list() == [MODEL]
    assert rows["status"].unique().to_list() == ["ok"]


def test_drift_starts_a_retrain_with_its_check_id(stack: Stack) -> None:
    retrains = stack.deployments()[f"retrain/{NAME}"]["id"]
    # Neither may start one: another pipeline's drift, and drift of ours that nothing is to be done about.
    stack.emit_drift("coffee", "coffee.b.1-1", "retrain")
    stack.emit_drift(NAME, "beans.b.1-1", "none")
    (told,) = stack.flywheel(["run", "check-drift", "-p", NAME, "--json"])
    check = json.loads(told)
    assert check["action"] == "retrain"
    run = wait_for("run of retrain", lambda: _ended(stack.runs(retrains)))
    assert (run["state_type"], run["created_by"]["type"]) == ("COMPLETED", "AUTOMATION")
    assert run["parameters"] == {"pipeline": NAME, "check_id": check["check_id"]}
    assert [each["id"] for each in stack.runs(retrains)] == [run["id"]]
    with stack.workspace.database().session() as session:
        answered = session.get(Retraining, (NAME, check["check_id"]))
    assert answered is not None
    assert answered.status == "done"


def test_a_scheduled_run_appears_by_itself_and_completes(stack: Stack) -> None:
    joins = stack.deployments()[f"join-feedback/{NAME}"]["id"]
    # On a machine so slow that a run is still on when the next is due, that one is cancelled.
    run = wait_for("scheduled run", lambda: _completed(stack.runs(joins)))
    assert run["auto_scheduled"]


@dataclass(frozen=True)
class Again:
    """What a second ``init`` and ``apply`` said, what the server had before and after; and what ``logs`` said."""

    logs: str
    init: str
    applied: str
    before: list[Any]
    after: list[Any]


@pytest.fixture(scope="module")
def again(stack: Stack) -> Again:
    def state() -> list[Any]:
        return [_lasting(stack.deployments()), stack.automations(), stack.blocks()]

    before = state()
    return Again(*stack.flywheel(["logs", NAME], ["init"], ["apply", "-f", "beans.yaml"]), before, state())


def test_logs_prints_what_runs_wrote_and_what_the_log_sink_was_given(again: Again) -> None:
    lines = again.logs.splitlines()
    assert lines == sorted(lines, key=lambda line: line[:19])
    for flow in ("infer", "join feedback", "check drift", "retrain"):
        assert any(f" {flow} {NAME}: Finished in state Completed()" in line for line in lines), again.logs
    shown = [line for line in lines if f" infer {NAME}: {{" in line]
    assert len(shown) == 3
    assert all('"prediction"' in line for line in shown)


def test_init_and_apply_again_change_nothing(again: Again) -> None:
    assert sorted(again.before[0]) == sorted([*(f"{flow}/{NAME}" for flow in FLOWS), *COFFEE])
    assert again.after == again.before
    assert "flywheel-workspace/default: unchanged" in again.init
    assert "work pool flywheel: unchanged" in again.init
    assert all(f"automation '{name}': unchanged" in again.init for name in (SILENT, NEVER_BEGAN))
    assert all("unchanged" in line for line in again.applied.splitlines()), again.applied


@pytest.mark.slow
def test_prefect_yaml_deploys_what_apply_makes(stack: Stack) -> None:
    stack.prefect("--no-prompt", "deploy", "--all", cwd=ROOT)
    deployed, automations = stack.deployments(), stack.automations()
    wanted = [f"{flow}/{name}" for flow in FLOWS for name in ("flight-delays", "anomaly-detection")]
    assert set(wanted) <= set(deployed)
    stack.flywheel(["apply", "-f", str(ROOT / "deployments" / "pipelines")])
    applied = stack.deployments()
    for name in wanted:
        assert _described(deployed[name]) == _described(applied[name])
        assert deployed[name]["id"] == applied[name]["id"]
    assert [_trigger(each) for each in automations] == [_trigger(each) for each in stack.automations()]
    stack.flywheel(["delete", "flight-delays"], ["delete", "anomaly-detection"])
    assert not set(wanted) & set(stack.deployments())


def test_delete_removes_what_is_the_pipelines_own(stack: Stack) -> None:
    assert "sink complaints" in stack.blocks()
    under_way = _begun(stack, f"infer/{NAME}")
    told, listed = stack.flywheel(["delete", NAME], ["get", "pipelines"])
    assert f"pipeline {NAME}: out of service" in told
    assert f"run {under_way['name']}: cancelled" in told
    assert stack.run(under_way["id"])["state_type"] == "CANCELLED"
    assert "Source tastings: removed" in told
    assert "coffee" in listed
    assert sorted(stack.deployments()) == COFFEE
    assert stack.automations() == []
    # What coffee names too has stayed; a storage is named by nobody.
    left = {name for name in stack.blocks() if not name.startswith("storage ")}
    assert left == {"workspace default", "source beans", "sink cups", "model-server roaster"}
    assert (stack.folder / ".flywheel" / "lake" / NAME / "predictions").exists()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("worker", b"worker"),
        # The same watching; but its start takes half a minute, and nothing after it needs one.
        pytest.param("model server", b"serve-models", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_killed_is_started_again(stack: Stack, name: str, command: bytes) -> None:
    (victim, *_) = sorted(pid for pid in children_of(stack.process.pid) if command in _arguments(pid))
    os.kill(victim, signal.SIGKILL)

    def is_back() -> bool:
        assert stack.process.poll() is None, f"up itself has ended:\n{stack.said()}"
        return f"the {name} is back" in stack.said()

    wait_for(f"new {name}", is_back)
    assert f"the {name} ended with -9, starting it again" in stack.said()


@pytest.fixture(scope="module")
def left(stack: Stack) -> set[int]:
    """The processes that are left when ``up`` is interrupted in the middle of a run."""
    # As a worker leaves a run that it had begun with.
    stack.ask(f"/deployments/{stack.deployments()['infer/coffee']['id']}/create_flow_run", state={"type": "PENDING"})
    processes = children_of(stack.process.pid)
    assert len(processes) >= 3
    stack.process.send_signal(signal.SIGINT)
    assert stack.process.wait(60) == 0
    return {pid for pid in processes if Path(f"/proc/{pid}").exists()}


def test_interrupting_up_leaves_no_process(stack: Stack, left: set[int]) -> None:
    assert stack.said().endswith("stopping …\nstopped\n")
    assert not left


@pytest.mark.slow
@pytest.mark.usefixtures("left")
def test_up_again_goes_on_and_settles_the_runs_that_were_under_way(stack: Stack) -> None:
    with up(stack.folder) as again:
        said = again.said()
        assert "flywheel-workspace/default: unchanged" in said
        assert "was under way when its worker stopped, now marked as crashed" in said
        coffee = again.deployments()["infer/coffee"]
        assert [run["state_type"] for run in again.runs(coffee["id"])] == ["CRASHED"]
        assert "coffee" in again.flywheel(["get", "pipelines"])[0]


def _begun(stack: Stack, deployment: str) -> dict[str, Any]:
    """A run that a worker has taken, and which so holds its deployment's one place."""
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2100-01-01T00:00:00Z"}}
    run = stack.ask(f"/deployments/{stack.deployments()[deployment]['id']}/create_flow_run", state=later)
    assert stack.ask(f"/flow_runs/{run['id']}/set_state", state={"type": "PENDING"})["status"] == "ACCEPT"
    return dict(run)


def _arguments(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _ended(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest run that has ended."""
    return next((run for run in runs if run["state_type"] not in ("PENDING", "RUNNING")), None)


def _completed(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((run for run in runs if run["state_type"] == "COMPLETED"), None)


def _lasting(deployments: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Deployments without what a worker's polling and a run's slot change."""
    passing = ("last_polled", "status", "global_concurrency_limit")
    return {
        name: {key: value for key, value in each.items() if key not in passing} for name, each in deployments.items()
    }


def _described(deployment: dict[str, Any]) -> dict[str, Any]:
    """What prefect.yaml and apply both say of a deployment."""
    keys = ("name", "entrypoint", "description", "parameters", "work_pool_name", "concurrency_options", "paused")
    return {
        **{key: deployment[key] for key in keys},
        "tags": sorted(deployment["tags"]),
        "schedules": [each["schedule"]["cron"] for each in deployment["schedules"]],
        "limit": deployment["global_concurrency_limit"]["limit"],
        "parameters schema": deployment["parameter_openapi_schema"],
    }


def _trigger(automation: dict[str, Any]) -> dict[str, Any]:
    """What prefect.yaml and apply both say of an automation."""
    trigger = automation["trigger"]
    return {
        "name": automation["name"],
        "enabled": automation["enabled"],
        "trigger": {key: trigger[key] for key in ("type", "match", "expect", "posture", "threshold", "within")},
        "parameters": [action.get("parameters") for action in automation["actions"]],
    }
