"""A run that is killed between any two writes, and run again, leaves what an undisturbed run leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from crashing import Killed, Writes, chosen, everywhere, kinds_of, watching
from parcels import MODEL, NAME, START, Document, Parcels, end_of, inference_of, known_after
from plain import run
from prefect.settings import PREFECT_API_URL
from state import State, assert_same, state_of

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.serving.server import ModelServer


@dataclass(frozen=True)
class Scene:
    """A workspace just before a run, the run, and what that leaves undisturbed, by which writes."""

    before: Parcels
    flow: Any
    as_of: datetime
    after: State
    writes: list[str]

    def again(self, copy: Parcels) -> Any:
        return run(self.flow, copy, self.as_of)

    def points(self, every: bool) -> list[tuple[int, bool]]:
        """A write of each kind, or every one, not begun; and of each kind that is more than a transaction the first,
        half done."""
        kinds = kinds_of(self.writes)
        whole = chosen(self.writes, every)
        torn = [numbers[0] for what, numbers in kinds.items() if what.startswith(("append", "put"))]
        return sorted([(number, False) for number in whole] + [(number, True) for number in torn])


def make_scene(before: Parcels, flow: Any, as_of: datetime) -> Scene:
    undisturbed = before.copy(before.root.with_name(f"{before.root.name}-undisturbed"))
    with watching(Writes()) as writes:
        run(flow, undisturbed, as_of)
    return Scene(before, flow, as_of, state_of(undisturbed), writes.seen)


@contextmanager
def explained(note: str) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        error.add_note(note)
        raise


def kill_everywhere(scene: Scene, folder: Path, every: bool) -> None:
    for number, torn in scene.points(every):
        copy = scene.before.copy(folder / f"{number}{'-torn' if torn else ''}")
        with watching(Writes(number, torn)) as writes, pytest.raises(Killed):
            scene.again(copy)
        assert writes.seen == scene.writes[:number], "a run's writes come in the same order each time"
        scene.again(copy)
        with explained(f"killed {'within' if torn else 'before'} write {number}, {scene.writes[number - 1]!r}"):
            assert_same(state_of(copy), scene.after)


@pytest.fixture(scope="module")
def base(trained: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """A champion, and a model server that all copies of the workspace share."""
    with ModelServer(trained.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        yield trained.copy(tmp_path_factory.mktemp("killed") / "base", server.address)


@pytest.fixture(scope="module")
def two_batches(base: Parcels) -> Scene:
    """Two batches to infer, one of them with records that can't be used."""
    before = base.copy(base.root.with_name("infer"))
    before.day(1, 300)
    before.broken_records("01.ndjson", "not JSON", json.dumps({"id": "p1-0", "timestamp": "2024-03-01T23:59:59Z"}))
    return make_scene(before, infer, end_of(1))


def inferred(base: Parcels, name: str) -> Parcels:
    found = base.copy(base.root.with_name(name))
    found.day(1, 300)
    run(infer, found, end_of(1))
    return found


@everywhere
def test_infer_killed_anywhere(two_batches: Scene, tmp_path: Path, every: bool) -> None:
    assert {what.split()[0] for what in two_batches.writes} == {"commit", "create", "append", "put", "delete"}
    for table in ("quarantine", "profiles", "predictions", "archive"):
        assert f"append to {table}" in two_batches.writes
    kill_everywhere(two_batches, tmp_path, every)


@pytest.fixture(scope="module")
def joining(base: Parcels) -> Scene:
    """A batch of feedback, with an event that can't be used."""
    before = inferred(base, "join")
    with (before.root / "data" / "deliveries" / "01.ndjson").open("a") as events:
        events.write('{"event": "delivered", "timestamp": "2024-03-01T23:00:00Z"}\n')
    return make_scene(before, join_feedback, known_after(1))


@pytest.fixture(scope="module")
def retraining(base: Parcels) -> Scene:
    """A retrain that ends with a new champion."""
    before = inferred(base, "retrain")
    run(join_feedback, before, known_after(1))
    return make_scene(before, retrain, known_after(1))


@everywhere
def test_join_feedback_killed_anywhere(joining: Scene, tmp_path: Path, every: bool) -> None:
    for table in ("quarantine", "feedback", "labels"):
        assert f"append to {table}" in joining.writes
    kill_everywhere(joining, tmp_path, every)


@everywhere
def test_retrain_killed_anywhere(retraining: Scene, tmp_path: Path, every: bool) -> None:
    assert [model["status"] for model in retraining.after.metadata["model_versions"]] == ["archived", "champion"]
    assert any(file.endswith("_export.json") for file in retraining.after.files)
    kill_everywhere(retraining, tmp_path, every)


def overtake_everywhere(scene: Scene, folder: Path, every: bool) -> None:
    """Let a second run do everything while the first one is about to write, which then goes on."""
    for number, torn in scene.points(every):
        what = scene.writes[number - 1]
        if torn or what.startswith("commit"):
            continue  # the second run could only wait for the first one's transaction
        copy = scene.before.copy(folder / f"overtaken-{number}")
        with watching(Writes(number, crash=lambda copy=copy: scene.again(copy))):
            scene.again(copy)
        with explained(f"overtaken before write {number}, {what!r}"):
            assert_same(state_of(copy), scene.after)


@everywhere
def test_infer_overtaken_anywhere(two_batches: Scene, tmp_path: Path, every: bool) -> None:
    overtake_everywhere(two_batches, tmp_path, every)


@everywhere
def test_join_feedback_overtaken_anywhere(joining: Scene, tmp_path: Path, every: bool) -> None:
    overtake_everywhere(joining, tmp_path, every)


@pytest.mark.slow
def test_retrain_overtaken_anywhere(retraining: Scene, tmp_path: Path) -> None:
    overtake_everywhere(retraining, tmp_path, every=True)


def test_a_run_after_a_finished_one_changes_nothing(two_batches: Scene, tmp_path: Path) -> None:
    copy = two_batches.before.copy(tmp_path / "w")
    two_batches.again(copy)
    with watching(Writes()) as writes:
        assert two_batches.again(copy).batches == 0
    assert writes.seen == []
    assert_same(state_of(copy), two_batches.after)


def test_a_killed_batch_is_finished_as_it_was_planned(two_batches: Scene, tmp_path: Path) -> None:
    """The second run comes a day later, under another revision and another champion."""
    copy = two_batches.before.copy(tmp_path / "w")
    with watching(Writes(before=2)), pytest.raises(Killed):
        two_batches.again(copy)
    copy.revise(_other_output)
    registry = copy.context.registry
    champion = registry.get(MODEL, 1)
    registry.register(MODEL, NAME, "by hand", b"never loaded", champion.card, {}, START)
    registry.promote(MODEL, 2, 1, "by hand", START)
    assert run(infer, copy, end_of(2), max_batches=1).batches == 1
    entry = copy.context.records.latest()
    assert entry is not None
    assert (entry.number, entry.revision, entry.as_of, entry.committed) == (1, 1, end_of(1), True)
    rows = copy.context.at_revision(1).tables.predictions
    logged = rows.read(rows.files())
    assert set(logged["model_version"]) == {1}
    assert set(logged["predicted_at"]) == {end_of(1)}
    assert logged["prediction"].null_count() == 0


def _other_output(manifest: Document) -> None:
    inference_of(manifest)["output_field"] = "answer"
    manifest["spec"]["sinks"] = []


CRASHER = """
import os, signal, sys
from datetime import datetime
from pathlib import Path

folder, root, address, as_of, number, torn, how = sys.argv[1:]
sys.path.insert(0, folder)

from crashing import Writes, watching
from flows.infer import infer
from flywheel.cli.app import run as command
from parcels import NAME, Parcels
from plain import run
from prefect.settings import PREFECT_API_URL

with watching(Writes(int(number), torn == "True", crash=lambda: os.kill(os.getpid(), signal.SIGKILL))):
    if how == "command":
        command(["run", "infer", "-p", NAME, "--as-of", as_of])
    run(infer, Parcels(Path(root), address), datetime.fromisoformat(as_of))
"""


@pytest.mark.slow  # tests/chaos/test_kills.py does so to processes on servers in every run of the tests
def test_processes_killed_with_sigkill(two_batches: Scene, tmp_path: Path) -> None:
    """The same in processes of their own, which get no chance to clean up; one through the command line."""
    logged = two_batches.writes.index("append to predictions") + 1
    places = {"command": (logged, True), "function": (len(two_batches.writes) - 3, False)}
    copies = {name: two_batches.before.copy(tmp_path / name) for name in places}
    copies["command"].select()
    runs = {name: _start(copies[name], *place, how=name) for name, place in places.items()}
    for name, process in runs.items():
        output, _ = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, output
        two_batches.again(copies[name])
        assert_same(state_of(copies[name]), two_batches.after)


def _start(parcels: Parcels, number: int, torn: bool, how: str) -> subprocess.Popen[str]:
    script = parcels.root / "crasher.py"
    script.write_text(CRASHER)
    place = [str(Path(__file__).parent), str(parcels.root), parcels.address, end_of(1).isoformat()]
    return subprocess.Popen(
        [sys.executable, str(script), *place, str(number), str(torn), how],
        cwd=parcels.root,
        env={**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value() or ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
