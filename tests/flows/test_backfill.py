"""A backlog scored ahead leaves what batches in their turn leave: whatever is in it, killed or overtaken anywhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crashing import Killed, Writes, kinds_of, watching
from parcels import NOWHERE, Document, Edit, Parcels, end_of, inference_of, made_parcels
from plain import run, trained
from state import assert_same, state_of

import flywheel.scoring.ahead
import flywheel.scoring.draft
import flywheel.scoring.foresee
import flywheel.scoring.log
import tasks.score
from flows.backfill import backfill
from flows.infer import infer
from flywheel.errors import InferenceError
from flywheel.scoring.staging import staged_numbers
from flywheel.serving.server import ModelServer

ROWS, BATCH = 250, 50


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """A champion, and a model server that all copies of the workspace share."""
    made = trained(Parcels(tmp_path_factory.mktemp("backfill") / "w"))
    made.revise(in_small_batches)
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        yield replace(made, address=server.address)


@pytest.fixture(autouse=True)
def _two_batches_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flywheel.scoring.foresee, "_PART_ROWS", 2 * BATCH)


@pytest.fixture
def parcels(base: Parcels, tmp_path: Path) -> Parcels:
    """A backlog of five batches, with a record that can't be used."""
    copy = base.copy(tmp_path / "w")
    copy.day(1, ROWS - 1)
    copy.broken_records("01.ndjson", "not JSON")
    return copy


def in_small_batches(manifest: Document) -> None:
    manifest["spec"]["batch"] = {"max_rows": BATCH}


def falls_back(fallback: str) -> Edit:
    def edit(manifest: Document) -> None:
        in_small_batches(manifest)
        inference_of(manifest).update(fallback=fallback, max_retries=0, circuit_breaker={"failure_threshold": 100})

    return edit


def inferred(parcels: Parcels, day: int = 1) -> Parcels:
    """What ``infer`` makes of the same backlog one batch a run: none of them is scored before its turn."""
    calm = parcels.copy(parcels.root.with_name("calm"))
    while run(infer, calm, end_of(day), max_batches=1).batches:
        pass
    return calm


def noting_threads(seen: list[str]) -> Callable[..., Any]:
    def make_draft(*arguments: Any) -> Any:
        seen.append(threading.current_thread().name)
        return flywheel.scoring.draft.make_draft(*arguments)

    return make_draft


def noting_staged(parcels: Parcels, seen: list[int]) -> Callable[..., Any]:
    count_rows = flywheel.scoring.log.count_rows

    def count(batch: Any) -> Any:
        seen.append(len(list(staged_numbers(parcels.context))))
        return count_rows(batch)

    return count


def drafts(parcels: Parcels) -> list[str]:
    context = parcels.context
    return [file.path for file in context.storage.list_files(context.folder("drafts"))]


def test_leaves_what_infer_leaves(parcels: Parcels) -> None:
    expected = inferred(parcels)
    found = run(backfill, parcels, end_of(1))
    assert (found.batches, found.ahead, found.records, found.ok, found.quarantined) == (5, 5, ROWS, ROWS - 1, 1)
    assert_same(state_of(parcels), state_of(expected))
    assert drafts(parcels) == []
    assert run(backfill, parcels, end_of(1)).batches == 0


def test_infer_scores_a_batch_while_it_logs_the_one_before(parcels: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = inferred(parcels)
    drafted: list[str] = []
    monkeypatch.setattr(flywheel.scoring.ahead, "make_draft", noting_threads(drafted))
    assert run(infer, parcels, end_of(1)).batches == 5
    assert len(drafted) == 4
    assert all("ahead" in thread for thread in drafted)
    assert_same(state_of(parcels), state_of(expected))


def test_sinks_get_a_backlog_while_it_is_scored(parcels: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the sinks does not pile up until the end of the run."""
    monkeypatch.setattr(tasks.score, "_STEP_SECONDS", 0.005)
    expected, waiting = inferred(parcels), list[int]()
    count = noting_staged(parcels, waiting)
    monkeypatch.setattr(flywheel.scoring.log, "count_rows", count)
    run(infer, parcels, end_of(1))
    assert waiting == [1] * 5
    assert_same(state_of(parcels), state_of(expected))


def test_what_goes_wrong_ahead_is_told_in_the_turn_of_the_batch(
    parcels: Parcels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object) -> None:
        raise OSError("the disk of the source is gone")

    expected = inferred(parcels)
    monkeypatch.setattr(flywheel.scoring.ahead, "make_draft", fails)
    assert run(infer, parcels, end_of(1)).batches == 5
    assert_same(state_of(parcels), state_of(expected))


@pytest.mark.parametrize("flow", [infer, backfill])
def test_an_id_that_is_in_two_batches_counts_once(parcels: Parcels, flow: Any) -> None:
    """Neither of them is in the log when they are scored."""
    twice = made_parcels(1, end_of(0), ROWS - 1)[-10:]
    parcels.records("02.ndjson", twice)
    expected = inferred(parcels)
    found = run(flow, parcels, end_of(1))
    assert found.quarantined == 11
    assert flow is infer or found.ahead == found.batches - 1
    assert_same(state_of(parcels), state_of(expected))


@pytest.mark.parametrize("fallback", ["passthrough", "send_to_dlq", "use_last_known"])
def test_rows_without_an_answer_get_the_fallback_in_their_turn(parcels: Parcels, fallback: str) -> None:
    parcels.revise(falls_back(fallback))
    down = replace(parcels, address=NOWHERE)
    expected = inferred(down)
    found = run(backfill, down, end_of(1))
    assert (found.ahead, found.fallback + found.dead_letters) == (0, ROWS - 1)
    assert_same(state_of(parcels), state_of(expected))


def test_the_model_is_down_and_the_manifest_says_stop(parcels: Parcels) -> None:
    parcels.revise(falls_back("error"))
    with pytest.raises(InferenceError, match="gave no prediction"):
        run(backfill, replace(parcels, address=NOWHERE), end_of(1))
    assert parcels.table("predictions").is_empty()
    assert run(backfill, parcels, end_of(1)).batches == 5


def test_a_draft_of_something_else_is_not_taken(parcels: Parcels) -> None:
    """Another run at another time plans the batches that were drafted."""
    with watching(Writes(before=9)), pytest.raises(Killed):
        run(backfill, parcels, end_of(1))
    assert len(drafts(parcels)) > 1
    expected = parcels.copy(parcels.root.with_name("expected"))
    for each, flow in ((expected, infer), (parcels, backfill)):
        run(flow, each, end_of(2))
    assert_same(state_of(parcels), state_of(expected))
    assert set(parcels.table("predictions")["predicted_at"]) == {end_of(1), end_of(2)}


def test_no_more_than_was_asked_for(parcels: Parcels) -> None:
    assert run(backfill, parcels, end_of(1), max_batches=2).batches == 2
    assert [batch.number for batch in parcels.context.records.committed_since(0)] == [1, 2]
    assert run(backfill, parcels, end_of(1)).batches == 3


@pytest.fixture
def small(base: Parcels, tmp_path: Path) -> Parcels:
    """A backlog of three batches, with a record that can't be used."""
    copy = base.copy(tmp_path / "small")
    copy.day(1, 3 * BATCH - 1)
    copy.broken_records("01.ndjson", "not JSON")
    return copy


def points(small: Parcels) -> list[tuple[int, str]]:
    """A write of each kind, the second where there are several: with a batch before it, and drafts of those after."""
    with watching(Writes()) as writes:
        run(backfill, small.copy(small.root.with_name("counted")), end_of(1))
    return [(found[:2][-1], what) for what, found in kinds_of(writes.seen).items()]


def test_killed_anywhere(small: Parcels, tmp_path: Path) -> None:
    expected = state_of(inferred(small))
    for number, what in points(small):
        copy = small.copy(tmp_path / f"{number}")
        with watching(Writes(number, torn=what.startswith(("append", "put")))), pytest.raises(Killed):
            run(backfill, copy, end_of(1))
        run(backfill if number % 2 else infer, copy, end_of(1))
        assert_same(state_of(copy), expected)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["half", "all"])
def test_infer_overtakes_anywhere(small: Parcels, tmp_path: Path, every: bool) -> None:
    expected = state_of(inferred(small))
    for number, what in points(small)[:: 1 if every else 2]:
        if what.startswith("commit"):
            continue  # the other run could only wait for the transaction's end
        copy = small.copy(tmp_path / f"{number}")
        with watching(Writes(number, crash=lambda copy=copy: run(infer, copy, end_of(1)))):
            run(backfill, copy, end_of(1))
        assert_same(state_of(copy), expected)
