"""Runs on PostgreSQL and S3 that are killed, or that are two at once: what an undisturbed run leaves, nothing twice."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from threading import Barrier

import pytest
from crashing import Killed, Writes, watching
from hosted import Hosted
from parcels import NAME, Document, end_of, known_after
from plain import run, without_prefect
from sqlalchemy import select
from state import assert_same, state_of
from undisturbed import Undisturbed

import flows.infer
from flows.infer import infer
from flows.join_feedback import join_feedback
from flywheel.context import PipelineContext
from flywheel.metadata.queries.performance import performance_windows
from flywheel.metadata.revisions import Revisions
from flywheel.metadata.schema import PipelineRevision
from flywheel.performance.measure import measure_performance
from flywheel.scoring import deliver

KILLS = 6


@pytest.mark.slow  # tests/chaos/test_kills.py kills processes on these servers in every run of the tests
def test_infer_killed_at_random_writes(undisturbed: Undisturbed, tmp_path: Path) -> None:
    for number in sorted(random.Random(3).sample(range(1, len(undisturbed.writes) + 1), KILLS)):
        copy = undisturbed.before.copy(tmp_path / str(number))
        with watching(Writes(number)) as writes, pytest.raises(Killed):
            run(infer, copy, end_of(1))
        assert writes.seen == undisturbed.writes[:number], "a run's writes come in the same order each time"
        run(infer, copy, end_of(1))
        assert_same(state_of(copy), undisturbed.after)


@pytest.mark.parametrize("_attempt", range(2))
def test_two_infer_runs_at_once(undisturbed: Undisturbed, tmp_path: Path, _attempt: int) -> None:
    copy = undisturbed.before.copy(tmp_path / "w")
    together = Barrier(2)

    def start() -> int:
        together.wait()
        return int(infer.fn("parcels", as_of=end_of(1)).batches)

    with without_prefect(copy), ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(start), pool.submit(start)
        batches = [first.result(), second.result()]
    assert max(batches) <= 2 <= sum(batches)
    assert_same(state_of(copy), undisturbed.after)


def test_four_that_apply_at_once(hosted: Hosted, tmp_path: Path) -> None:
    """They see the same newest revision; on PostgreSQL nothing but the primary key tells them of each other."""
    copy = hosted.copy(tmp_path / "w")
    together = Barrier(4)

    def store(number: int) -> int:
        together.wait()
        revisions = Revisions(copy.workspace.database())
        stored = [revisions.apply("another", f"manifest {number} {change}", None) for change in range(5)]
        return sum([*stored, revisions.save_connection("Sink", "archive", {"uri": f"{number}"})])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(store, range(4))) == [6] * 4
    with copy.workspace.database().session() as session:
        revisions = session.scalars(select(PipelineRevision.revision).filter_by(pipeline="another"))
        assert sorted(revisions) == list(range(1, 21))


def test_four_that_measure_performance_at_once(undisturbed: Undisturbed, tmp_path: Path) -> None:
    copy = undisturbed.before.copy(tmp_path / "together")
    copy.day(4)
    for day in (1, 4):
        run(infer, copy, end_of(day))
        run(join_feedback, copy, known_after(day))
    alone = copy.copy(tmp_path / "alone")
    times = [known_after(day) for day in (1, 1, 2, 4)]  # the last one finds the first day final
    together = Barrier(4)

    def measure(when: datetime) -> int:
        together.wait()
        return len(measure_performance(copy.context, when).windows)

    with ThreadPoolExecutor(4) as pool:
        assert min(pool.map(measure, times)) > 0
    measure_performance(alone.context, times[-1])
    found, expected = (performance_windows(each.workspace.database(), NAME, 99, None) for each in (copy, alone))
    assert [each for each in found if each.state == "final"] == [each for each in expected if each.state == "final"]
    assert [each.start for each in found if each.state == "final" and each.version == 0] == [end_of(0)]


def test_a_batch_is_not_delivered_before_those_before_it(
    undisturbed: Undisturbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one run lists what is staged, another logs two batches: the listing may have the second one's name only."""
    copy = undisturbed.before.copy(tmp_path / "w")
    copy.revise(_batches_of_100)
    run(infer, copy, end_of(1), max_batches=1)
    listing = deliver.staged_numbers

    def overtaken(context: PipelineContext) -> list[int]:
        monkeypatch.setattr(deliver, "staged_numbers", listing)
        before = set(listing(context))
        with monkeypatch.context() as patch:
            patch.setattr(flows.infer, "deliver_batches", lambda _context: [])
            run(infer, copy, end_of(1))
        return [number for number in listing(context) if number in before or number > 2]

    monkeypatch.setattr(deliver, "staged_numbers", overtaken)
    assert deliver.deliver_batches(copy.context) == []
    assert deliver.staged_numbers is listing
    run(infer, copy, end_of(1))
    assert sorted(copy.archive()["batch_id"].unique()) == [1, 2, 3]


def _batches_of_100(manifest: Document) -> None:
    manifest["spec"]["batch"] = {"max_rows": 100}
