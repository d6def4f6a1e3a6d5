"""An old model comes back, and people look into the quarantine: by the commands that they type."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from parcels import MODEL, NAME, Parcels, drift_of, end_of, known_after
from plain import run
from tritonclient.grpc import InferenceServerClient, InferInput

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.cli import main
from flywheel.serving.server import ModelServer

Flywheel = Callable[..., Any]


@pytest.fixture
def flywheel(parcels: Parcels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Flywheel:
    """Type a command in the workspace; returns what ``--json`` prints, or what went wrong."""
    monkeypatch.setenv("FLYWHEEL_HOME", str(parcels.workspace.home))

    def call(*arguments: str) -> Any:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        printed = capsys.readouterr()
        if end.value.code:
            return printed.err
        return json.loads(printed.out) if "--json" in arguments else printed.out

    return call


def retrained(parcels: Parcels, day: int) -> None:
    parcels.day(day, 200, shift=100 * (day % 2))
    run(infer, parcels, end_of(day))
    run(join_feedback, parcels, known_after(day))
    assert run(retrain, parcels, known_after(day)).outcome == "promoted"


def test_a_former_champion_comes_back(parcels: Parcels, flywheel: Flywheel) -> None:
    parcels.revise(lambda manifest: drift_of(manifest).update(window=None, window_size=10_000))
    retrained(parcels, 1)
    parcels.day(2, 200, shift=100)
    run(infer, parcels, end_of(2))
    with (
        ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=0.05) as server,
        InferenceServerClient(server.address) as client,
    ):
        assert served(client) == "2"
        assert flywheel("model", "rollback", MODEL, "-m", "too many alerts", "--json") == {
            "model_id": MODEL,
            "pipeline": NAME,
            "from_version": 2,
            "to_version": 1,
            "reason": "too many alerts",
        }
        end = time.monotonic() + 10
        while served(client) != "1":
            assert time.monotonic() < end
    told = [(each.version, each.event, each.reason) for each in parcels.context.registry.history(MODEL)[-2:]]
    assert told == [
        (2, "archived", "replaced by version 1"),
        (1, "promoted", "rolled back from version 2: too many alerts"),
    ]
    # New batches are its own, and drift is measured against its own baseline, on those batches only.
    parcels.day(3, 200)
    run(infer, parcels, end_of(3))
    assert set(parcels.table("predictions").filter(batch_id=3)["model_version"]) == {1}
    check = run(check_drift, parcels, end_of(3))
    card = parcels.context.registry.get(MODEL, 1).card
    assert check.check_id == f"{NAME}.{card.baseline_id}.3-3"
    assert check.outcome == "no_drift"
    # And forth again.
    assert flywheel("model", "rollback", MODEL, "2", "-m", "it was not the model", "--json")["to_version"] == 2


def served(client: InferenceServerClient) -> str:
    rows = np.zeros((1, client.get_model_metadata(MODEL).inputs[0].shape[1]))
    tensor = InferInput("features", rows.shape, "FP64").set_data_from_numpy(rows)
    return str(client.infer(MODEL, [tensor]).get_response().model_version)


def test_what_can_not_come_back(parcels: Parcels, flywheel: Flywheel) -> None:
    assert "former champions: none" in flywheel("model", "rollback", MODEL, "-m", "why")
    assert "did you mean" in flywheel("model", "rollback", "late-parcels", "-m", "why")
    assert "Missing option" in flywheel("model", "rollback", MODEL)
    assert "say why" in flywheel("model", "rollback", MODEL, "-m", " ")
    retrained(parcels, 1)
    assert "version 2 of late-parcel has not been the champion" in flywheel(
        "model", "rollback", MODEL, "2", "-m", "why"
    )
    file = next((parcels.root / ".flywheel/lake/models" / MODEL).glob(f"{parcels.versions()[0].sha256}*"))
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?")
    assert "SHA-256" in flywheel("model", "rollback", MODEL, "-m", "why")
    file.write_bytes(content)
    parcels.revise(fewer_features)
    assert "other features" in flywheel("model", "rollback", MODEL, "-m", "why")
    assert parcels.champion() == 2


def fewer_features(manifest: dict[str, Any]) -> None:
    manifest["spec"]["stages"][1]["config"]["input_features"] = ["km", "region"]


def test_the_quarantine_by_reason(parcels: Parcels, flywheel: Flywheel) -> None:
    assert flywheel("quarantine", "list", "-p", NAME) == "nothing of the last 7 days is in quarantine\n"
    parcels.day(1, 20)
    bad = [json.dumps({"id": f"b{i}", "timestamp": "2024-03-01T10:00:00Z", "route": {"km": -i}}) for i in range(1, 4)]
    parcels.broken_records("01.ndjson", *bad, "{no JSON")
    run(infer, parcels, end_of(1))
    parcels.broken_records("03.ndjson", "{still [red]no[/] JSON")
    run(infer, parcels, end_of(3))
    events = parcels.root / "data" / "deliveries" / "02.ndjson"
    events.write_text('{"id": "x", "timestamp": "2024-03-01T10:00:00Z"}\n')
    run(join_feedback, parcels, end_of(3))

    found = flywheel("quarantine", "list", "-p", NAME, "--json")
    assert [(each["feed"], each["records"]) for each in found] == [("records", 3), ("records", 2), ("feedback", 1)]
    ranges, unreadable, nameless = found
    assert ranges["reason"].startswith("km = … is below")
    assert ranges["example"]["reason"].startswith("km = '-3")
    assert (ranges["first_batch"], ranges["last_batch"]) == (1, 1)
    assert json.loads(ranges["example"]["record"])["id"] == ranges["example"]["prediction_id"] == "b3"
    assert (unreadable["first_batch"], unreadable["last_batch"]) == (1, 2)
    assert unreadable["example"]["record"] == "{still [red]no[/] JSON"
    assert nameless["example"]["part"] == "02.ndjson"

    shown = flywheel("quarantine", "list", "-p", NAME, "-n", "2")
    assert "2 records, batches 1 to 2" in shown
    assert "{still [red]no[/] JSON" in shown
    assert "feedback" not in shown
    today = flywheel("quarantine", "list", "-p", NAME, "--days", "1", "--json")
    assert [each["example"]["batch"] for each in today] == [2, 1]
    assert "no pipeline" in flywheel("quarantine", "list", "-p", "parcel")
