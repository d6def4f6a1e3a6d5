"""``flywheel drift explain``: the decision, what was measured, and the histograms, from what is stored."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from parcels import Parcels, drift_of, end_of
from plain import run

from flows.check_drift import check_drift
from flows.infer import infer
from flywheel.cli import main
from flywheel.lake.delta import open_table
from flywheel.maintenance.expire import delete_before


@pytest.fixture
def explained(parcels: Parcels, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a check of two days, the second of which went far away; its workspace is the working directory's."""
    parcels.revise(lambda manifest: drift_of(manifest).update(window="3d"))
    for day, shift in ((1, 0), (2, 100)):
        parcels.day(day, 200, shift=shift)
        run(infer, parcels, end_of(day))
    monkeypatch.chdir(parcels.root)
    return str(run(check_drift, parcels, end_of(2)).check_id)


def explain(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(["drift", "explain", *arguments])
    printed = capsys.readouterr()
    return int(done.value.code or 0), printed.out + printed.err


def test_why_a_check_fired(explained: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, told = explain(capsys, explained)
    assert code == 0
    assert explained in told.replace("\n", "")
    assert "400 rows, batches 1 to 2" in told
    assert "km  (psi" in told
    assert told.count("█") > 20, "a histogram"
    assert len(told.splitlines()) < 50, "one screen"
    assert explain(capsys) == (code, told), "the newest check is the default"
    assert explain(capsys, explained.rpartition(".")[2])[1] == told, "the end of an id is enough"
    picture = tmp_path / "why.png"
    assert "wrote" in explain(capsys, explained, "-o", str(picture))[1]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_same_window_as_the_check_saw(explained: str, parcels: Parcels, capsys: pytest.CaptureFixture[str]) -> None:
    """Later batches change nothing; expired ones are told of."""
    before = explain(capsys, explained)
    parcels.day(3, 200)
    run(infer, parcels, end_of(3))
    assert explain(capsys, explained) == before
    table = open_table(parcels.context.tables.profiles.location)
    assert table is not None
    delete_before(table, date(2024, 3, 2))
    assert "of 400 rows, the profiles of 200 are left" in explain(capsys, explained)[1]


def test_what_is_not_there(explained: str, parcels: Parcels, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = explain(capsys, "nothing.like.it")
    assert code == 1
    assert "drift check 'nothing.like.it'" in told
    assert "flywheel drift history" in told
    for file in (parcels.root / ".flywheel/lake/baselines").rglob("*.json"):
        file.unlink()
    code, told = explain(capsys, explained)
    assert code == 1
    assert "is gone" in told
    assert "400 rows, batches 1 to 2" in told, "what is stored is told all the same"
