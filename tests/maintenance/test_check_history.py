"""Drift checks are kept as long as the manifest says, and as long as a decision depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from parcels import Document, Parcels, drift_of, end_of
from plain import run
from sqlalchemy import select

from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.maintain import maintain
from flows.retrain import retrain
from flywheel.metadata.schema import DriftAlert, DriftCheck
from flywheel.serving.server import ModelServer

SHIFTED = (2, 3)
DAYS = 8


def keeping(days: int, **drift: object) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        document["spec"]["retention"] = {"drift_checks": f"{days}d"}
        drift_of(document).update(window="24h", min_rows=50, **drift)

    return edit


@pytest.fixture(scope="module")
def checked(embedded: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """Eight days, a check a day; the second and third have drifted, and that alert is over."""
    copy = embedded.copy(tmp_path_factory.mktemp("checked") / "w")
    copy.revise(keeping(100))
    with ModelServer(copy.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        parcels = replace(copy, address=server.address)
        for day in range(1, DAYS + 1):
            parcels.day(day, 200, shift=100 if day in SHIFTED else 0)
            run(infer, parcels, end_of(day))
            run(join_feedback, parcels, end_of(day))
            run(check_drift, parcels, end_of(day))
        yield parcels


@pytest.fixture
def parcels(checked: Parcels, tmp_path: Path) -> Parcels:
    return checked.copy(tmp_path / "w", checked.address)


def days_left(parcels: Parcels) -> list[int]:
    with parcels.workspace.database().session() as session:
        times = session.scalars(select(DriftCheck.as_of).order_by(DriftCheck.as_of)).all()
    return [day for day in range(1, DAYS + 1) if end_of(day) in times]


def alerts(parcels: Parcels) -> int:
    with parcels.workspace.database().session() as session:
        return len(session.scalars(select(DriftAlert)).all())


def answer_all(parcels: Parcels) -> None:
    with parcels.workspace.database().session() as session:
        asked = session.execute(select(DriftCheck.id, DriftCheck.as_of).where(DriftCheck.action == "retrain")).all()
    assert asked
    for check_id, as_of in asked:
        run(retrain, parcels, as_of, check_id=check_id)


def test_old_checks_go_with_their_alerts(parcels: Parcels) -> None:
    parcels.revise(keeping(2))
    answer_all(parcels)
    assert run(maintain, parcels, end_of(DAYS)).checks_expired == 5
    assert days_left(parcels) == [6, 7, 8]
    assert alerts(parcels) == 0
    assert run(maintain, parcels, end_of(DAYS)).checks_expired == 0


def test_a_retrain_that_has_not_been_done_is_not_forgotten(parcels: Parcels) -> None:
    parcels.revise(keeping(3))
    run(maintain, parcels, end_of(DAYS))
    assert days_left(parcels)[0] in SHIFTED
    answer_all(parcels)
    run(maintain, parcels, end_of(DAYS))
    assert days_left(parcels) == [5, 6, 7, 8]


def test_actions_stay_for_as_long_as_they_cool_down(parcels: Parcels) -> None:
    parcels.revise(keeping(1, cooldown="6d"))
    answer_all(parcels)
    run(maintain, parcels, end_of(DAYS))
    assert days_left(parcels) == list(range(2, DAYS + 1))


def test_nothing_goes_unasked_and_nothing_while_the_pipeline_stands_still(parcels: Parcels) -> None:
    assert run(maintain, parcels, end_of(1000)).checks_expired == 0
    assert days_left(parcels) == list(range(1, DAYS + 1))
