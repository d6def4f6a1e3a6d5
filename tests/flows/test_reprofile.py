"""After a promotion the window of before it can be checked, on the new champion's baseline."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import polars as pl
import pytest
from crashing import Killed, Writes, watching
from deltalake import DeltaTable
from parcels import MODEL, Document, Parcels, end_of, known_after
from plain import run, trained

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.reprofile import reprofile
from flows.retrain import retrain
from flywheel.drift.baseline import Baseline
from flywheel.drift.profile import merge, profile
from flywheel.monitoring.reference import require_baseline
from flywheel.monitoring.reprofile import find_unprofiled
from flywheel.monitoring.reprofile import reprofile as profile_batches
from flywheel.serving.server import ModelServer

ROWS, BATCHES = 400, 4
INPUTS = ["km", "kilos"]


def in_small_batches(manifest: Document) -> None:
    """Of the columns some are measured, one only cuts the others into slices."""
    manifest["spec"]["batch"] = {"max_rows": ROWS // BATCHES}
    (drift,) = (stage["config"] for stage in manifest["spec"]["stages"] if stage["id"] == "drift")
    drift |= {"features": INPUTS, "slices": ["region"]}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """A day of parcels that went farther than any before, and a second champion, which knows such days."""
    made = trained(Parcels(tmp_path_factory.mktemp("reprofile") / "w"))
    made.revise(in_small_batches)
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        made.day(1, ROWS, shift=100)
        run(infer, replace(made, address=server.address), end_of(1))
    run(join_feedback, made, known_after(1))
    assert run(retrain, made, known_after(1)).outcome == "promoted"
    return made


@pytest.fixture
def parcels(base: Parcels, tmp_path: Path) -> Parcels:
    return base.copy(tmp_path / "w")


def baseline(parcels: Parcels) -> Baseline:
    champion = parcels.champion()
    assert champion == 2
    return require_baseline(parcels.context, champion)


def profiles(parcels: Parcels) -> pl.DataFrame:
    """The new baseline's rows of the table."""
    return parcels.table("profiles").filter(pl.col("baseline_id") == baseline(parcels).id)


def expected(parcels: Parcels) -> pl.DataFrame:
    """The log counted in one go."""
    return merge([profile(parcels.table("predictions"), baseline(parcels))]).filter(pl.col("feature").is_in(INPUTS))


def test_the_window_before_a_promotion_can_be_checked(parcels: Parcels) -> None:
    later = known_after(1)
    assert run(check_drift, parcels, later).outcome == "not_enough_data"
    found = run(reprofile, parcels, later)
    assert (found.batches, found.rows, found.gone) == (BATCHES, ROWS, 0)
    checked = run(check_drift, parcels, later + timedelta(minutes=1))
    assert checked.check_id.endswith("1-4")
    assert checked.outcome != "not_enough_data"
    assert run(reprofile, parcels, later).batches == 0


def test_counts_are_those_of_the_log(parcels: Parcels) -> None:
    before = parcels.table("profiles")
    run(reprofile, parcels, known_after(1))
    own = profiles(parcels)
    assert merge([own]).equals(expected(parcels))
    assert set(own["slice"]) == {None, "region = north", "region = south", "region = east"}
    assert own.group_by("batch_id", "slice", "feature", "bin").len()["len"].to_list() == [1] * own.height
    assert set(own["predicted_at"]) == {end_of(1)}
    # Nothing is said of the new model's answers by what the old one said.
    assert set(own["feature"]) == set(INPUTS)
    assert parcels.table("profiles").filter(pl.col("baseline_id") != baseline(parcels).id).equals(before)


def test_the_old_champion_comes_back_to_its_own_batches(parcels: Parcels) -> None:
    """Its window starts with its return, though all that it logged is in the table."""
    run(reprofile, parcels, known_after(1))
    parcels.context.registry.promote(MODEL, 1, 2, "by hand", known_after(1))
    checked = run(check_drift, parcels, known_after(1) + timedelta(minutes=1))
    assert checked.check_id.endswith("1-4")
    assert checked.outcome == "drift"


def test_only_as_far_back_as_was_asked(parcels: Parcels) -> None:
    assert run(reprofile, parcels, end_of(1) - timedelta(hours=1)).batches == 0
    assert run(reprofile, parcels, end_of(3), days=1).batches == 0
    assert run(reprofile, parcels, end_of(3), days=3).batches == BATCHES


def test_a_batch_that_is_not_whole_any_more_is_left_out(parcels: Parcels) -> None:
    DeltaTable(parcels.context.tables.predictions.location.uri).delete("prediction_id = 'p1-0'")
    found = run(reprofile, parcels, known_after(1))
    assert (found.batches, found.gone) == (BATCHES - 1, 1)
    assert 1 not in profiles(parcels)["batch_id"]


def test_killed_anywhere(parcels: Parcels, tmp_path: Path) -> None:
    with watching(Writes()) as writes:
        run(reprofile, parcels.copy(tmp_path / "counted"), known_after(1))
    for number, torn in product(range(1, len(writes.seen) + 1), (False, True)):
        copy = parcels.copy(tmp_path / f"{number}-{torn}")
        with watching(Writes(number, torn)), pytest.raises(Killed):
            run(reprofile, copy, known_after(1))
        run(reprofile, copy, known_after(1))
        assert merge([profiles(copy)]).equals(expected(copy))


def test_several_at_once(parcels: Parcels) -> None:
    """Each finds all four batches lacking; each of them is in the table once."""
    (whole,) = find_unprofiled(parcels.context, known_after(1), timedelta(days=30))
    parts = [whole, *(replace(whole, batches=(batch,)) for batch in whole.batches), whole]
    with ThreadPoolExecutor(len(parts)) as pool:
        found = list(pool.map(profile_batches, [parcels.context for _ in parts], parts))
    assert sum(each.batches for each in found) == BATCHES
    assert merge([profiles(parcels)]).equals(expected(parcels))
