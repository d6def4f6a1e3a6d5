"""Pipelines with slices or seasons, whole: the retrain cuts the reference, batches are counted so, checks tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from parcels import START, Document, Edit, Parcels, drift_of, end_of, made_parcels
from plain import run

import tasks.reports
from flows.check_drift import DriftSummary, check_drift
from flows.infer import infer
from flows.retrain import retrain
from flywheel.cli import main
from flywheel.drift.baseline import fit_baseline
from flywheel.drift.check import check_window
from flywheel.drift.measured import Measured
from flywheel.drift.profile import profile
from flywheel.manifest.drift import DriftConfig
from flywheel.metadata.queries.drift_checks import find_check
from flywheel.monitoring.decision import Decision
from flywheel.monitoring.window import Window
from flywheel.serving.server import ModelServer


def drift(**fields: object) -> Edit:
    def edit(manifest: Document) -> None:
        drift_of(manifest).pop("thresholds")
        drift_of(manifest).update(on_drift="alert", act_on="drift", **fields)
        manifest["spec"]["batch"] = {"max_rows": 1200}

    return edit


@contextmanager
def trained(root: Path, before: Edit, after: Edit) -> Iterator[Parcels]:
    """A workspace with a champion that was trained under one manifest, and is checked under another."""
    made = Parcels(root / "w")
    made.make()
    made.workspace.database().create()
    made.revise(before)
    assert run(retrain, made, START).outcome == "promoted"
    with ModelServer(made.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        served = replace(made, address=server.address)
        served.revise(after)
        yield served


def day(parcels: Parcels, number: int, heavier: str | None = None) -> DriftSummary:
    """A day of 1,200 parcels, those of one region heavier than ever, and its check."""
    rows = made_parcels(number, end_of(number - 1), 1200)
    is_heavier = rows["route"].struct.field("region") == (heavier or "")
    kilos = pl.when(is_heavier).then(pl.col("kilos") * 1.3).otherwise("kilos")
    parcels.records(f"{number:02d}.ndjson", rows.with_columns(kilos=kilos))
    run(infer, parcels, end_of(number))
    return run(check_drift, parcels, end_of(number))


def explained(check_id: str, parcels: Parcels, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(parcels.root)
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main(["drift", "explain", check_id, *more])
    assert done.value.code == 0
    return capsys.readouterr().out


def test_drift_in_one_region_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slices = drift(slices=["region", "km"])
    with trained(tmp_path, slices, slices) as parcels:
        assert day(parcels, 1).outcome == "no_drift"
        found = day(parcels, 2, heavier="south")
        assert (found.outcome, found.action) == ("drift", "alert"), found.reason
        assert "where region = south (" in found.reason
        check = find_check(parcels.workspace.database(), found.check_id)
        south = next(each for each in check.features if each.title == "kilos where region = south")
        assert south.share == pytest.approx(1 / 3, abs=0.05)
        told = explained(found.check_id, parcels, capsys)
        assert "where region = south (" in " ".join(told.split())
        assert "\n  region = south " in told
        assert explained(found.check_id, parcels, capsys, "-o", str(tmp_path / "why.png"))
        assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")


def test_a_champion_from_before_slices_is_checked_as_a_whole(tmp_path: Path) -> None:
    with trained(tmp_path, drift(), drift(slices=["region", "km"])) as parcels:
        found = day(parcels, 1)
        assert found.outcome == "no_drift"
        assert "; no slices by region, km: baseline late-parcel-" in found.reason


def test_a_check_of_the_same_hours(tmp_path: Path) -> None:
    seasonal = drift(seasonal="hour_of_day")
    with trained(tmp_path, seasonal, seasonal) as parcels:
        found = day(parcels, 1)
        assert found.outcome == "no_drift"
        check = find_check(parcels.workspace.database(), found.check_id)
        assert all(each.seasonal for each in check.features)
        assert check.rows == 1200


@pytest.mark.parametrize("hostile", ["<img src=x>", "[click](http://evil)", "a | b | c", "`rm`", "![x](http://evil/p)"])
def test_values_of_records_stay_text_in_the_artifact(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values, slices = [Measured("x", "numeric")], [Measured("c", "category")]

    def drawn(shift: float) -> pl.DataFrame:
        names = rng.choice([hostile, "plain"], 4000, p=[0.1, 0.9])
        return pl.DataFrame({"c": names, "x": rng.normal(shift * (names == hostile), 1)})

    baseline = fit_baseline(drawn(0), values, "b", slices=slices)
    counts = profile(drawn(1), baseline)
    findings = check_window(baseline, counts, 4000, DriftConfig(slices=["c"]))
    assert f"x where c = {hostile}" in {each.title for each in findings.features}
    decision = Decision(
        check_id="p.b.1-1", pipeline="p", as_of=START, baseline=baseline, window=Window(1, 1, 4000, counts),
        findings=findings, harm=None, severity="medium", notice="opened", action="alert", reason=findings.reason,
        is_new=True,
    )  # fmt: skip
    shown: list[str] = []
    monkeypatch.setattr(tasks.reports, "create_markdown_artifact", lambda text, **_more: shown.append(text))
    tasks.reports.publish_drift(decision)
    text = re.sub(r"!\[[^\[\]]*\]\(data:image/png;base64,[^)]*\)", "", shown[0])
    assert not set("<>[]") & set(text)
    assert text.count("`") == 4, "the baseline's id and the check's"
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table}) == 1
