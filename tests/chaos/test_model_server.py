"""A model server that hangs, is slow, answers nonsense, errors or is gone, under every fallback: the circuit opens and
closes by itself, each row is there once, and ``rescore`` makes up for what the fallback answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from audit import count_ids
from faulty_server import FaultyServer, faulty_server
from hosted import Hosted
from model_trouble import FALLBACKS, Days, answers_of, assert_untouched, gone, in_trouble, live_through, troubled
from outcome import Outcome
from parcels import MODEL, NAME, START, Parcels, end_of
from plain import run
from state import state_of

from flows.rescore import rescore
from flywheel.errors import InferenceError
from flywheel.metadata.queries.stats import prediction_stats

Record = Callable[[Outcome], None]

_TROUBLES: dict[str, tuple[str, bool]] = {
    "hang": ("model server hangs past the deadline", True),
    "slow": ("model server answers slowly, within the deadline", False),
    "shape": ("model server answers other shapes", True),
    "nan": ("model server answers NaN", True),
    "absent": ("model server answers without the tensor", True),
    "torn": ("model server answers half a tensor", True),
    "error": ("model server answers with errors", True),
    "half": ("model server fails every second request", False),
    "gone": ("model server is gone, and comes back", True),
}


def attack(made: Parcels, stack: str, trouble: str, fallbacks: Sequence[str], outages: int, folder: Path) -> Outcome:
    """Live through the trouble with each fallback in turn."""
    fault, opens = _TROUBLES[trouble]
    rows = lost = twice = injected = 0
    recovery = 0.0
    with faulty_server(made.context.registry) as server:
        for fallback in fallbacks:
            attacked = made.copy(folder / fallback / "w", server.address)
            calm = made.copy(folder / fallback / "calm", server.address)
            found = live_through(attacked, calm, fallback, outages, _switch(server, trouble), opens=opens)
            rows += found.rows_in
            lost += found.losses.lost
            twice += found.losses.twice
            recovery = max(recovery, found.recovery_seconds)
            injected += outages if trouble == "gone" else 0
        injected += server.injected
    assert injected > 0
    assert lost == twice == 0
    return Outcome(fault, stack, injected, rows, lost, twice, recovery)


def _switch(server: FaultyServer, trouble: str) -> Callable[[], object]:
    return partial(gone, server) if trouble == "gone" else partial(troubled, server, trouble)


@pytest.mark.parametrize(
    ("trouble", "fallback"),
    [
        ("hang", "passthrough"),
        ("nan", "use_last_known"),
        # tests/flows/test_model_trouble.py has these in every run of the tests.
        pytest.param("error", "error", marks=pytest.mark.slow),
        pytest.param("gone", "send_to_dlq", marks=pytest.mark.slow),
    ],
)
def test_trouble(embedded: Parcels, tmp_path: Path, record: Record, trouble: str, fallback: str) -> None:
    record(attack(embedded, "embedded", trouble, [fallback], 1, tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("trouble", _TROUBLES)
def test_every_trouble_under_every_fallback(embedded: Parcels, tmp_path: Path, record: Record, trouble: str) -> None:
    record(attack(embedded, "embedded", trouble, FALLBACKS, 3, tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("trouble", _TROUBLES)
def test_every_trouble_on_servers(hosted: Hosted, tmp_path: Path, record: Record, trouble: str) -> None:
    record(attack(hosted, "servers", trouble, ["passthrough", "send_to_dlq", "error"], 1, tmp_path))


def test_only_the_model_in_trouble_is_left_alone(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    """The circuit is one model's: another one on the same server is asked all the time."""
    copy = embedded.copy(tmp_path / "w")
    registry = copy.context.registry
    first = registry.get(MODEL, 1)
    data = copy.context.storage.read_bytes(f"{copy.workspace.lake}/models/{first.uri}")
    registry.register("other", NAME, "by hand", data, first.card, {}, START)
    registry.promote("other", 1, None, "by hand", START)
    with faulty_server(registry) as server:
        days = Days(replace(copy, address=server.address))
        server.of_model = MODEL
        answered = []
        with troubled(server, "error"):
            for model in (MODEL, "other", MODEL, "other"):
                copy.revise(in_trouble("return_null", model_id=model, timeout_ms=60_000))
                days.new()
                answered.append(days.infer())
        assert answered == [False, True, False, True]
        copy.revise(in_trouble("return_null"))
        recovery = days.infer_until_well()
        run(rescore, days.parcels, end_of(days.count))
        losses = count_ids(copy, days.seen)
        scored = answers_of(state_of(days.parcels))["prediction_id"].to_list()
        injected = server.injected
    assert sorted(scored) == sorted(days.seen)
    assert injected > 0
    assert losses.lost == losses.twice == 0
    fault = "model server fails on one of two models"
    record(Outcome(fault, "embedded", injected, losses.rows, losses.lost, losses.twice, recovery))


def test_rescore_gets_there_bit_by_bit(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    """Rows that have no answer again wait for the next run; those that have one are not asked for again."""
    copy = embedded.copy(tmp_path / "w")
    copy.revise(in_trouble("send_to_dlq", timeout_ms=60_000))
    with faulty_server(copy.context.registry) as server:
        days = Days(replace(copy, address=server.address))
        days.infer_until_well()
        with gone(server):
            days.new()
            days.infer()
        served, waiting = state_of(days.parcels), [_waiting(copy)]
        begin = time.monotonic()
        with troubled(server, "half"):
            while waiting[-1]:
                assert time.monotonic() < begin + 60, f"rows that wait: {waiting}"
                with suppress(InferenceError):
                    run(rescore, days.parcels, end_of(days.count))
                waiting.append(_waiting(copy))
        recovery = time.monotonic() - begin
        assert_untouched(state_of(days.parcels), served)
    assert len(set(waiting)) > 2, "the first run got all of it"
    assert waiting == sorted(waiting, reverse=True)
    rescored = copy.table("rescored")["prediction_id"].to_list()
    assert sorted(rescored) == sorted(copy.table("quarantine")["prediction_id"])
    losses = count_ids(copy, days.seen)
    assert losses.lost == losses.twice == 0
    assert server.injected > 0
    fault = "model server fails every second request of rescore"
    record(Outcome(fault, "embedded", server.injected, losses.rows, losses.lost, losses.twice, recovery))


def _waiting(parcels: Parcels) -> int:
    return prediction_stats(parcels.workspace.database(), NAME).waiting
