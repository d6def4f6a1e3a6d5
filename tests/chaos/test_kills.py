"""Flow processes killed with SIGKILL, at fault points between any two writes and at any other time: what is left in
the end is what an undisturbed run leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from audit import audit
from hosted import Hosted
from killing import Dose, live_killed, live_undisturbed, newest_batch, small_batches
from outcome import Outcome
from parcels import Parcels
from state import assert_same, state_of

from flywheel.serving.server import ModelServer

Record = Callable[[Outcome], None]
SLICE = {"points": 8, "signals": 3, "batches": 3}
WHOLE = {"points": 500, "signals": 500, "batches": 200}


def kill(made: Parcels, dose: Dose, stack: str, folder: Path) -> Outcome:
    """Kill the runs of a pipeline, and compare what it leaves with what the same days leave undisturbed."""
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        attacked = made.copy(folder / "attacked", server.address)
        attacked.revise(small_batches)
        calm = attacked.copy(folder / "calm")
        killed = live_killed(attacked, dose, folder)
        rows = live_undisturbed(calm, killed.days)
        print(killed)
        print("fell before or in:", killed.last_writes.most_common())
        print("writes begun at that time:", sorted(killed.writes_begun.items()))
        found, expected = state_of(attacked), state_of(calm)
        losses = audit(found, expected)
        assert_same(found, expected)
    assert newest_batch(calm) >= dose.batches
    assert (killed.points, killed.signals) >= (dose.points, dose.signals)
    assert losses.lost == losses.twice == 0
    return Outcome(
        fault="kill -9 of the flow's process",
        stack=stack,
        injected=killed.kills,
        rows_in=rows,
        lost=losses.lost,
        twice=losses.twice,
        recovery_seconds=killed.recovery_seconds,
    )


@pytest.mark.slow  # tests/flows/test_killed_runs.py kills the embedded stack in every run of the tests
def test_killed_embedded(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(kill(embedded, Dose(**SLICE, longest_delay=0.3), "embedded", tmp_path))


def test_killed_on_servers(hosted: Hosted, tmp_path: Path, record: Record) -> None:
    record(kill(hosted, Dose(**SLICE, longest_delay=0.8), "servers", tmp_path))


@pytest.mark.chaos
def test_killed_a_thousand_times_embedded(
    embedded: Parcels, tmp_path: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        record(kill(embedded, Dose(**WHOLE, longest_delay=0.3), "embedded", tmp_path))


@pytest.mark.chaos
def test_killed_a_thousand_times_on_servers(
    hosted: Hosted, tmp_path: Path, record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        record(kill(hosted, Dose(**WHOLE, longest_delay=0.8), "servers", tmp_path))
