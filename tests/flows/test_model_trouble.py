"""A model that does not fit, and a model server that does not answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from parcels import MODEL, NAME, NOWHERE, Document, Edit, Parcels, end_of, inference_of
from plain import run

from flows.infer import infer
from flywheel.errors import FlywheelError, InferenceError, ModelMismatchError
from flywheel.metadata.schema import EndpointHealth
from flywheel.serving.server import ModelServer


def inference(**fields: object) -> Edit:
    return lambda manifest: inference_of(manifest).update(max_retries=0, **fields)


def without_server(parcels: Parcels) -> Parcels:
    dead = replace(parcels, address=NOWHERE)
    dead.select()
    return dead


def test_a_model_of_other_features(parcels: Parcels) -> None:
    parcels.day(1, 50)
    parcels.revise(inference(input_features=["km", "region"]))
    with pytest.raises(ModelMismatchError, match="the manifest lacks kilos") as refused:
        infer(NAME, as_of=end_of(1))
    assert refused.value.state == "no batch was planned"
    parcels.revise(_kilos_is_a_category)
    with pytest.raises(ModelMismatchError, match=r"another type.*kilos"):
        infer(NAME, as_of=end_of(1))
    assert parcels.context.records.latest() is None
    assert parcels.context.records.progress() == {}
    parcels.revise()
    assert infer(NAME, as_of=end_of(1)).ok == 50


def _kilos_is_a_category(manifest: Document) -> None:
    kilos = manifest["spec"]["stages"][0]["config"]["features"][2]
    kilos.update(type="category")


def test_no_champion_yet(parcels: Parcels) -> None:
    parcels.day(1, 50)
    parcels.revise(inference(model_id="unheard-of"))
    with pytest.raises(FlywheelError, match="no champion yet") as refused:
        infer(NAME, as_of=end_of(1))
    assert "flywheel run retrain -p parcels" in refused.value.next_step
    assert parcels.context.records.latest() is None


def test_fallback_error_leaves_the_batch_planned(parcels: Parcels) -> None:
    parcels.revise(inference())
    parcels.day(1, 300)
    without_server(parcels)
    for _ in range(2):
        with pytest.raises(InferenceError, match="gave no prediction for 200 of 200 rows"):
            infer(NAME, as_of=end_of(1))
    entry = parcels.context.records.latest()
    assert entry is not None
    assert (entry.number, entry.committed) == (1, False)
    assert parcels.table("predictions").is_empty()
    parcels.select()
    assert infer(NAME, as_of=end_of(1)).ok == 300
    assert parcels.table("predictions")["prediction_id"].n_unique() == 300


FALLBACKS: dict[str, Callable[[pl.Series, pl.Series], bool]] = {
    "passthrough": lambda found, known: found.null_count() == len(found),
    "return_null": lambda found, known: found.null_count() == len(found),
    "use_default": lambda found, known: set(found.struct.field("label")) == {"unknown"},
    "use_last_known": lambda found, known: found.n_unique() == 1 and found[0] == known[-1],
}


@pytest.mark.parametrize("fallback", FALLBACKS)
def test_rows_of_a_server_that_is_down(parcels: Parcels, fallback: str) -> None:
    default = {"default_prediction": {"label": "unknown", "score": 0.0}} if fallback == "use_default" else {}
    parcels.revise(inference(fallback=fallback, **default))
    parcels.day(1, 50)
    run(infer, parcels, end_of(1))
    known = parcels.table("predictions").sort("event_time")["prediction"]
    parcels.day(2, 50)
    summary = run(infer, replace(parcels, address=NOWHERE), end_of(2))
    assert (summary.records, summary.ok, summary.fallback) == (50, 0, 50)
    rows = parcels.table("predictions").filter(batch_id=2)
    assert set(rows["status"]) == {fallback}
    assert FALLBACKS[fallback](rows["prediction"], known)
    parcels.day(3, 50)
    assert run(infer, parcels, end_of(3)).ok == 50
    assert parcels.archive().height == parcels.table("predictions").height == 150


def test_rows_for_the_dead_letter_queue(parcels: Parcels) -> None:
    parcels.revise(inference(fallback="send_to_dlq"))
    parcels.day(1, 50)
    without_server(parcels)
    summary = infer(NAME, as_of=end_of(1))
    assert (summary.records, summary.ok, summary.quarantined) == (50, 0, 50)
    dead = parcels.table("quarantine")
    assert dead["prediction_id"].n_unique() == 50
    assert dead["reason"].str.contains("UNAVAILABLE").all()
    assert infer(NAME, as_of=end_of(1)).batches == 0


def test_the_circuit_opens_and_closes_again(parcels: Parcels) -> None:
    """Its state outlives the run: a later one sends nothing until the time has passed, then a probe."""
    seconds = 2.0
    breaker = {"failure_threshold": 2, "reset_timeout_seconds": seconds}
    parcels.revise(inference(fallback="return_null", circuit_breaker=breaker), _small_batches)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    restarted = replace(parcels, address=address)
    restarted.select()
    parcels.day(1, 150)
    assert infer(NAME, as_of=end_of(1)).fallback == 150
    opened = opening_of_circuit(restarted)
    assert state_of_circuit(restarted) == ("open", 2)
    with ModelServer(parcels.context.registry, address, poll_seconds=60):
        parcels.day(2, 50)
        first = infer(NAME, as_of=end_of(2))
        if time.time() - opened < seconds:
            assert first.fallback == 50
        time.sleep(max(0.0, opened + seconds - time.time()))
        parcels.day(3, 100)
        assert infer(NAME, as_of=end_of(3)).ok == 100
    assert state_of_circuit(restarted) == ("closed", 0)


def state_of_circuit(parcels: Parcels) -> tuple[str, int]:
    with parcels.context.database.session() as session:
        health = session.get_one(EndpointHealth, (parcels.address, MODEL))
    return health.state, health.failures


def opening_of_circuit(parcels: Parcels) -> float:
    with parcels.context.database.session() as session:
        opened_at = session.get_one(EndpointHealth, (parcels.address, MODEL)).opened_at
    assert opened_at is not None
    return opened_at.timestamp()


def _small_batches(manifest: Document) -> None:
    manifest["spec"]["batch"] = {"max_rows": 50}
