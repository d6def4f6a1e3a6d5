"""Two, then eight runs of the same pipeline at once: one batch each number, and no run fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from audit import audit
from hosted import Hosted
from killing import live_undisturbed, small_batches
from many_runs import Crowd, counted_connections, live_crowded
from outcome import Outcome
from parcels import Parcels, known_after
from plain import run
from state import assert_same, state_of

from flows.infer import infer
from flywheel.serving.server import ModelServer

Record = Callable[[Outcome], None]
ALLOWED = 100  # connections, by PostgreSQL as it comes
WORDS = {2: "two", 8: "eight"}


def crowd_in(made: Parcels, crowd: Crowd, stack: str, folder: Path) -> Outcome:
    """Let runs work beside each other, and compare what they leave with what single runs leave."""
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        crowded = made.copy(folder / "crowded", server.address)
        crowded.revise(small_batches)
        calm = crowded.copy(folder / "calm")
        seen = live_crowded(crowded, crowd, folder)
        if crowd.victims:
            run(infer, crowded, known_after(crowd.days))  # the next scheduled run tidies up after a killed one
        rows = live_undisturbed(calm, crowd.days)
        found, expected = state_of(crowded), state_of(calm)
        losses = audit(found, expected)
        assert_same(found, expected)
    print(f"{seen.contested} batches worked on by several runs, {seen.kills} runs killed")
    assert losses.lost == losses.twice == 0
    assert seen.contested > 0
    assert seen.kills > 0 or not crowd.victims
    return Outcome(
        fault=f"{WORDS[crowd.runs]} runs at once" + (f", {crowd.victims} of them killed" if crowd.victims else ""),
        stack=stack,
        injected=seen.kills if crowd.victims else seen.contested,
        rows_in=rows,
        lost=losses.lost,
        twice=losses.twice,
        recovery_seconds=0.0,
    )


def crowd_in_on_servers(hosted: Hosted, crowd: Crowd, folder: Path) -> Outcome:
    """The same on the servers, of which PostgreSQL must not run out of connections."""
    with counted_connections(hosted.postgresql.uri) as connections:
        outcome = crowd_in(hosted, crowd, "servers", folder)
    print(f"{max(connections)} connections to PostgreSQL at most")
    assert max(connections) < ALLOWED
    return outcome


@pytest.mark.slow  # tests/flows/test_runs_at_once.py has the embedded stack
def test_two_runs_embedded(embedded: Parcels, tmp_path: Path, record: Record) -> None:
    record(crowd_in(embedded, Crowd(2, days=1), "embedded", tmp_path))


@pytest.mark.slow  # tests/servers/test_runs_on_servers.py has two in one process
def test_two_runs_on_servers(hosted: Hosted, tmp_path: Path, record: Record) -> None:
    record(crowd_in_on_servers(hosted, Crowd(2, days=1), tmp_path))


LONG = [Crowd(2, days=10), Crowd(8, days=6), Crowd(8, days=6, victims=3)]


@pytest.mark.chaos
@pytest.mark.parametrize("crowd", LONG, ids=("two", "eight", "eight_three_killed"))
def test_many_runs_embedded(embedded: Parcels, crowd: Crowd, tmp_path: Path, record: Record) -> None:
    record(crowd_in(embedded, crowd, "embedded", tmp_path))


@pytest.mark.chaos
@pytest.mark.parametrize("crowd", LONG, ids=("two", "eight", "eight_three_killed"))
def test_many_runs_on_servers(hosted: Hosted, crowd: Crowd, tmp_path: Path, record: Record) -> None:
    record(crowd_in_on_servers(hosted, crowd, tmp_path))
