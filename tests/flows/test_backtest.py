"""What a version would have come to on past windows, beside what was served; nothing is stored."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from parcels import START, Document, Parcels, end_of, known_after
from plain import run, trained
from sklearn.metrics import roc_auc_score
from state import assert_same, state_of

from flows.backtest import backtest
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.errors import NotFoundError
from flywheel.serving.server import ModelServer

ROWS, DAYS = 200, 3
# Labels may come 48 hours late.
CLOSED = known_after(DAYS + 2)


def by_days(manifest: Document) -> None:
    manifest["spec"]["performance"] = {"window": "1d", "metric": "auc"}


def without_drift(manifest: Document) -> None:
    by_days(manifest)
    manifest["spec"]["stages"].remove(manifest["spec"]["stages"][2])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """Three days, the last two unlike what came before; the second champion learned from two of them, serves one."""
    made = trained(Parcels(tmp_path_factory.mktemp("backtest") / "w"))
    made.revise(by_days)
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        served = replace(made, address=server.address)
        for day, shift in enumerate((0.0, 100.0, 100.0), start=1):
            made.day(day, ROWS, shift=shift)
            run(infer, served, end_of(day))
            if day == DAYS - 1:
                run(join_feedback, made, known_after(day))
                assert run(retrain, made, known_after(day)).outcome == "promoted"
    run(join_feedback, made, CLOSED)
    return made


@pytest.fixture
def parcels(base: Parcels, tmp_path: Path) -> Parcels:
    return base.copy(tmp_path / "w")


def test_the_version_that_served_does_as_it_did(base: Parcels) -> None:
    found = run(backtest, base, CLOSED, version=1)
    assert (found.version, found.windows, found.compared) == (1, 3, 3)
    figures = [re.search(r"auc (.*), served (.*), of 200 labels", line) for line in found.by_window]
    assert [each is not None and each[1] == each[2] for each in figures] == [True, True, False]
    labelled = base.table("predictions").join(base.table("labels"), on="prediction_id")
    by_sklearn = [
        roc_auc_score(day["label"] == "late", day["prediction"].struct.field("score"))
        for _, day in sorted(labelled.partition_by("date", as_dict=True).items())
    ]
    assert found.served == pytest.approx(sum(by_sklearn) / 3)
    assert [line.partition(":")[0] for line in found.by_window] == [
        f"{START + day * timedelta(days=1):%Y-%m-%d} to {START + (day + 1) * timedelta(days=1):%Y-%m-%d}"
        for day in range(3)
    ]


def test_the_drift_rules_see_what_changed(base: Parcels) -> None:
    found = run(backtest, base, CLOSED, version=1)
    assert found.drifted == 2
    assert [re.search("; drift: .*km", line) is not None for line in found.by_window] == [False, True, True]


def test_what_a_version_learned_from_is_not_held_in_its_favour(base: Parcels) -> None:
    found = run(backtest, base, CLOSED)
    assert (found.version, found.windows, found.compared) == (2, 3, 1)
    assert ["learned from" in line for line in found.by_window] == [True, True, False]


def test_only_windows_whose_labels_have_had_their_time(base: Parcels) -> None:
    # The join at the end of the third day's feedback knew no more than that.
    assert run(backtest, base, known_after(2)).windows == 0
    assert run(backtest, base, CLOSED, windows=2).windows == 2


def test_nothing_is_stored(parcels: Parcels) -> None:
    before = state_of(parcels)
    run(backtest, parcels, CLOSED)
    assert_same(state_of(parcels), before)


def test_without_drift_detection(parcels: Parcels) -> None:
    parcels.revise(without_drift)
    found = run(backtest, parcels, CLOSED)
    assert (found.windows, found.drifted) == (3, 0)
    assert not any("drift" in line for line in found.by_window)


def test_a_version_that_is_not_there(base: Parcels) -> None:
    with pytest.raises(NotFoundError, match="9"):
        run(backtest, base, CLOSED, version=9)
