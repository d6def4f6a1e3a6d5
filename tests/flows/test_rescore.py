"""Rows that a fallback answered are scored again later: each once, with the model it was pinned to, beside what was
served."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from threading import Barrier
from typing import Any
from zipfile import ZipFile

import polars as pl
import pytest
from crashing import Killed, Writes, chosen, everywhere, watching
from deltalake import DeltaTable
from parcels import MODEL, NAME, NOWHERE, START, Document, Edit, Parcels, end_of, inference_of
from plain import run, trained
from state import assert_same, state_of, tables_of

import flywheel.lake.tables
from flows.infer import infer
from flows.rescore import rescore
from flywheel.errors import InferenceError
from flywheel.inference.client import ModelClient
from flywheel.metadata.queries.health import pipeline_health
from flywheel.metadata.queries.stats import prediction_stats
from flywheel.rescoring.rescore import rescore as rescore_batches
from flywheel.rescoring.waiting import find_waiting
from flywheel.scoring.staging import ScoredBatch, read_staged, stage
from flywheel.serving.server import ModelServer

FALLBACKS = ["passthrough", "return_null", "use_default", "use_last_known", "send_to_dlq"]
ROWS = 250


def falls_back(fallback: str) -> Edit:
    default = {"default_prediction": {"label": "unknown", "score": 0.0}} if fallback == "use_default" else {}
    return lambda manifest: inference_of(manifest).update(
        fallback=fallback, max_retries=0, circuit_breaker={"failure_threshold": 2}, **default
    )


def in_small_batches(manifest: Document) -> None:
    manifest["spec"]["batch"] = {"max_rows": 50}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """A champion, and a model server that all copies of the workspace share."""
    made = trained(Parcels(tmp_path_factory.mktemp("rescore") / "w"))
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        yield replace(made, address=server.address)


@pytest.fixture
def parcels(base: Parcels, tmp_path: Path) -> Parcels:
    return base.copy(tmp_path / "w")


def outage(parcels: Parcels, *edits: Edit) -> Parcels:
    """A day that the model answered, and one that it did not."""
    parcels.revise(*edits)
    parcels.day(1, 50)
    run(infer, parcels, end_of(1))
    parcels.day(2, ROWS)
    run(infer, replace(parcels, address=NOWHERE), end_of(2))
    return parcels


def undisturbed(parcels: Parcels, *edits: Edit) -> pl.DataFrame:
    """What the model says of the same days when it is there."""
    calm = parcels.copy(parcels.root.with_name(f"{parcels.root.name}-calm"))
    calm.revise(*edits)
    for day, count in ((1, 50), (2, ROWS)):
        calm.day(day, count)
        run(infer, calm, end_of(day))
    return calm.table("predictions")


def answers(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("prediction_id", "event_time", "model_id", "model_version", "prediction").sort("prediction_id")


@pytest.mark.parametrize("fallback", FALLBACKS)
def test_what_a_fallback_answered_is_scored_again(parcels: Parcels, fallback: str) -> None:
    expected = undisturbed(parcels)
    outage(parcels, falls_back(fallback))
    served = tables_of(parcels)
    found = run(rescore, parcels, end_of(3))
    assert (found.outcome, found.waiting, found.rescored) == ("done", ROWS, ROWS)
    assert (found.failed, found.unscorable) == (0, 0)
    rescored = parcels.table("rescored")
    assert set(rescored["status"]) == {fallback}
    assert set(rescored["predicted_at"]) == {end_of(3)}
    own = parcels.table("predictions").filter(pl.col("status") == "ok")
    assert answers(pl.concat([answers(own), answers(rescored)])).equals(answers(expected))
    for name, rows in served.items():
        assert name == "rescored" or rows.equals(tables_of(parcels)[name]), f"{name} is as it was"
    assert run(rescore, parcels, end_of(4)).outcome == "nothing to rescore"
    assert parcels.table("rescored").height == ROWS


def test_rows_are_counted_wherever_somebody_looks(parcels: Parcels) -> None:
    outage(parcels, falls_back("send_to_dlq"))
    database = parcels.workspace.database()

    def counted() -> tuple[int, int, int, int]:
        stats = prediction_stats(database, NAME)
        return stats.dead_letters, stats.rescored, stats.waiting, stats.quarantined

    assert counted() == (ROWS, 0, ROWS, ROWS)
    health = pipeline_health(database, NAME, datetime.now(UTC))
    assert (health.quarantine_share, health.waiting_rows) == (0.0, ROWS)
    assert any("flywheel run rescore -p parcels" in problem for problem in health.problems)
    run(rescore, parcels, end_of(3))
    assert counted() == (ROWS, ROWS, 0, ROWS)
    health = pipeline_health(database, NAME, datetime.now(UTC))
    assert (health.fallback_share, health.waiting_rows) == (0.0, 0)
    assert not any("rescore" in problem for problem in health.problems)


def test_a_dead_letter_is_the_record_and_what_the_model_would_have_got(parcels: Parcels) -> None:
    outage(parcels, falls_back("send_to_dlq"))
    lines = (parcels.root / "data" / "parcels" / "02.ndjson").read_text().splitlines()
    dead = parcels.table("quarantine").sort("row")
    assert dead["record"].to_list() == lines
    assert set(dead["part"]) == {"02.ndjson"}
    assert dead["row"].to_list() == list(range(ROWS))
    assert dead["features"].str.starts_with('{"km":').all()


def test_the_model_server_is_still_down(parcels: Parcels) -> None:
    outage(parcels, falls_back("return_null"))
    before = state_of(parcels)
    down = replace(parcels, address=NOWHERE)
    for _ in range(2):
        with pytest.raises(InferenceError, match=r"still gives no prediction: .*UNAVAILABLE") as refused:
            run(rescore, down, end_of(3))
        assert refused.value.state.startswith(f"0 of {ROWS} rows are in the table rescored; the others wait")
        assert "flywheel run rescore -p parcels" in refused.value.next_step
        assert_same(state_of(parcels), before)
    assert run(rescore, parcels, end_of(3)).rescored == ROWS


@pytest.fixture(scope="module")
def interrupted(base: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """Six batches, of which five have rows that wait, in parts of two; with what a run makes of it beside."""
    return outage(base.copy(tmp_path_factory.mktemp("killed") / "w"), falls_back("passthrough"), in_small_batches)


def in_several_parts(manifest: Document) -> None:
    falls_back("passthrough")(manifest)
    manifest["spec"]["batch"] = {"max_rows": 100}


@everywhere
def test_killed_anywhere(interrupted: Parcels, tmp_path: Path, every: bool) -> None:
    interrupted.revise(in_several_parts)
    calm = interrupted.copy(tmp_path / "calm")
    with watching(Writes()) as writes:
        assert run(rescore, calm, end_of(3)).rescored == ROWS
    assert writes.seen.count("append to rescored") == 3
    expected = state_of(calm)
    for number in chosen(writes.seen, every):
        for torn in {False, writes.seen[number - 1].startswith("append")}:
            copy = interrupted.copy(tmp_path / f"{number}-{torn}")
            with watching(Writes(number, torn)), pytest.raises(Killed):
                run(rescore, copy, end_of(3))
            run(rescore, copy, end_of(3))
            assert_same(state_of(copy), expected)


@everywhere
def test_overtaken_anywhere(interrupted: Parcels, tmp_path: Path, every: bool) -> None:
    """Another run does everything while one is about to write."""
    interrupted.revise(in_several_parts)
    calm = interrupted.copy(tmp_path / "calm")
    with watching(Writes()) as writes:
        run(rescore, calm, end_of(3))
    for number in chosen(writes.seen, every):
        if writes.seen[number - 1].startswith("commit"):
            continue  # the other run could only wait for the transaction's end
        copy = interrupted.copy(tmp_path / f"{number}")
        with watching(Writes(number, crash=lambda copy=copy: run(rescore, copy, end_of(3)))):
            run(rescore, copy, end_of(3))
        assert_same(state_of(copy), state_of(calm))


def test_eight_at_once(parcels: Parcels) -> None:
    outage(parcels, falls_back("passthrough"), in_small_batches)
    contexts = [parcels.context for _ in range(8)]
    together = Barrier(len(contexts))

    def work(context: Any) -> int:
        found = find_waiting(context, end_of(3))
        with ModelClient(parcels.address, context.pipeline.inference) as client:
            together.wait()
            return sum(rescore_batches(context, each, client, end_of(3)).rescored for each in found)

    with ThreadPoolExecutor(len(contexts)) as pool:
        assert sum(pool.map(work, contexts)) == ROWS
    assert parcels.table("rescored")["prediction_id"].n_unique() == parcels.table("rescored").height == ROWS


def test_batches_out_of_order(parcels: Parcels) -> None:
    """A batch that an earlier ``as_of`` did not see, and one whose turn came first."""
    outage(parcels, falls_back("passthrough"))
    parcels.day(3, 60)
    run(infer, replace(parcels, address=NOWHERE), end_of(3))
    with ModelClient(parcels.address, parcels.context.pipeline.inference) as client:
        newest = find_waiting(parcels.context, end_of(4))[-1]
        assert rescore_batches(parcels.context, newest, client, end_of(4)).rescored == 110
    assert run(rescore, parcels, end_of(2)).rescored == ROWS - 50
    assert parcels.table("rescored")["prediction_id"].n_unique() == parcels.table("rescored").height == ROWS + 60


def test_only_what_was_known_then_is_seen(parcels: Parcels) -> None:
    outage(parcels, falls_back("passthrough"))
    assert run(rescore, parcels, end_of(1)).outcome == "nothing to rescore"
    assert run(rescore, parcels, end_of(2)).rescored == ROWS


def test_each_batch_is_scored_by_the_version_it_is_pinned_to(parcels: Parcels) -> None:
    outage(parcels, falls_back("passthrough"))
    promote_copy(parcels)
    parcels.day(3, 40)
    run(infer, replace(parcels, address=NOWHERE), end_of(3))
    with ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        run(rescore, replace(parcels, address=server.address), end_of(4))
    versions = parcels.table("rescored").group_by("model_version").len().sort("model_version")
    assert versions.rows() == [(1, ROWS), (2, 40)]


def test_the_champion_where_the_pinned_version_is_gone(parcels: Parcels) -> None:
    outage(parcels, falls_back("passthrough"))
    promote_copy(parcels)
    first = parcels.context.registry.get(MODEL, 1)
    file = f"{parcels.workspace.lake}/models/{first.uri}"
    parcels.context.storage.write(file, b"not what was registered")
    with ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        assert run(rescore, replace(parcels, address=server.address), end_of(3)).rescored == ROWS
    assert set(parcels.table("rescored")["model_version"]) == {2}
    assert set(parcels.table("predictions")["model_version"]) == {1}


def promote_copy(parcels: Parcels) -> None:
    registry = parcels.context.registry
    first = registry.get(MODEL, 1)
    file = BytesIO(parcels.context.storage.read_bytes(f"{parcels.workspace.lake}/models/{first.uri}"))
    with ZipFile(file, "a") as model:
        model.comment = b"another file"
    registry.register(MODEL, NAME, "by hand", file.getvalue(), first.card, {}, START)
    registry.promote(MODEL, 2, 1, "by hand", START)


def test_a_batch_of_an_earlier_revision(parcels: Parcels) -> None:
    """Its features are read as they were then."""
    outage(parcels, falls_back("send_to_dlq"))

    def another_feature(manifest: Document) -> None:
        features = manifest["spec"]["stages"][0]["config"]["features"]
        features[2].update(name="mass")
        inference_of(manifest).update(input_features=["km", "region", "mass"])

    parcels.revise(another_feature)
    assert run(rescore, parcels, end_of(3)).rescored == ROWS


def test_rows_that_the_lake_has_not_any_more(parcels: Parcels) -> None:
    outage(parcels, falls_back("passthrough"))
    predictions = DeltaTable(parcels.context.tables.predictions.location.uri)
    predictions.delete("prediction_id IN ('p2-0', 'p2-1')")
    found = run(rescore, parcels, end_of(3))
    assert (found.rescored, found.unscorable) == (ROWS - 2, 2)
    assert run(rescore, parcels, end_of(3)).outcome == "nothing to rescore"


def test_a_lake_of_before_there_were_dead_letters(parcels: Parcels) -> None:
    """Its quarantine lacks a column, and so does a batch that was staged."""
    parcels.revise(falls_back("send_to_dlq"))
    parcels.day(1, 40)
    run(infer, replace(parcels, address=NOWHERE), end_of(1))
    table = parcels.context.tables.quarantine
    without = pl.Schema({name: dtype for name, dtype in table.schema.items() if name != "features"})
    rows = parcels.table("quarantine")
    shutil.rmtree(table.location.uri)
    replace(table, schema=without).append_once(rows, "before", 1)
    old = ScoredBatch(1, parcels.table("predictions"), rows.drop("features", "date"))
    assert stage(parcels.context, old) is old
    staged = read_staged(parcels.context, 1)
    assert staged is not None
    assert staged.quarantined["features"].null_count() == 40
    parcels.day(2, 30)
    run(infer, replace(parcels, address=NOWHERE), end_of(2))
    found = run(rescore, parcels, end_of(3))
    assert (found.rescored, found.unscorable) == (30, 40)


def test_nothing_to_do_does_not_touch_the_lake(parcels: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    parcels.revise(falls_back("passthrough"))
    parcels.day(1, 50)
    run(infer, parcels, end_of(1))
    monkeypatch.setattr(flywheel.lake.tables, "open_table", lambda *_arguments: pytest.fail("a table was opened"))
    assert run(rescore, parcels, end_of(2)).outcome == "nothing to rescore"


def test_only_the_files_of_batches_that_wait_are_read(parcels: Parcels) -> None:
    outage(parcels, falls_back("passthrough"), in_small_batches)
    table = parcels.context.tables.predictions
    assert len(table.files()) == 6
    (one,) = table.files(batches=[3])
    assert table.read([one])["batch_id"].unique().to_list() == [3]
    assert table.files(batches=[99]) == []


def test_with_prefect(trained: Parcels, tmp_path: Path) -> None:
    with ModelServer(trained.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        parcels = outage(trained.copy(tmp_path / "w", server.address), falls_back("passthrough"))
        parcels.select()
        assert rescore(NAME, as_of=end_of(3)).rescored == ROWS
        assert rescore(NAME, as_of=end_of(3)).outcome == "nothing to rescore"
