"""The Prefect server and the worker killed with SIGKILL while a run is on: the schedule goes on by itself, no run is
shown as running for ever, no place stays taken; and the tables are those of runs that nothing disturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from audit import audit
from hosted import Hosted
from orchestra_faults import BATCH_ROWS, ROWS_A_DAY, Attack, Known, kill_server, kill_worker, kill_worker_and_run
from outcome import Outcome
from parcels import Parcels
from plain import run
from production import Orchestra, Production, production
from state import State, tables_of

from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.serving.server import ModelServer

pytestmark = pytest.mark.chaos
ROUNDS = 3
FAULTS: dict[str, Callable[[Orchestra], None]] = {
    "kill -9 of the Prefect server during a run": kill_server,
    "kill -9 of the worker, its run goes on": kill_worker,
    "kill -9 of the worker and its run": kill_worker_and_run,
}


@pytest.fixture(scope="module")
def orchestra(hosted: Hosted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestra]:
    with production(hosted, tmp_path_factory.mktemp("production"), max_rows=BATCH_ROWS) as running:
        yield running


@pytest.fixture(scope="module")
def known() -> list[Known]:
    """When each day became known, from the first fault on: all of them strike the same pipeline."""
    return []


@pytest.mark.parametrize("fault", FAULTS)
def test_killed(
    fault: str, orchestra: Orchestra, known: list[Known], hosted: Hosted, tmp_path: Path, record: Callable[..., None]
) -> None:
    attack = Attack(orchestra, FAULTS[fault], known)
    for _ in range(ROUNDS):
        attack.round()
    attack.settle()
    losses = audit(_comparable(orchestra.parcels), _comparable(_undisturbed(attack, hosted, tmp_path)))
    record(
        Outcome(
            fault=fault,
            stack="production",
            injected=attack.kills,
            rows_in=2 * ROUNDS * ROWS_A_DAY,
            lost=losses.lost,
            twice=losses.twice,
            recovery_seconds=attack.recovery_seconds,
        )
    )
    assert losses.rows > 2 * ROUNDS * ROWS_A_DAY
    assert losses.lost == losses.twice == 0


def _undisturbed(attack: Attack, hosted: Hosted, folder: Path) -> Parcels:
    """The same topics, read by runs that nothing disturbs."""
    with ModelServer(hosted.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        copy = hosted.copy(folder / "calm", server.address)
        fields = {name: getattr(copy, name) for name in Hosted.__dataclass_fields__}
        calm = Production(**fields, broker=attack.orchestra.parcels.broker)
        calm.revise(lambda document: document["spec"].update(batch={"max_rows": BATCH_ROWS}))
        for day in attack.known:
            run(infer, calm, day.records)
            run(join_feedback, calm, day.events)
        return calm


def _comparable(parcels: Parcels) -> State:
    """All rows, without the times of the runs."""
    return State({name: rows.drop("predicted_at", strict=False) for name, rows in tables_of(parcels).items()}, {}, {})
