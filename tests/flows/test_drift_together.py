"""Drift that no feature shows by itself: asked of samples of rows where the manifest opts in, and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from parcels import MODEL, START, Edit, Parcels, drift_of, end_of, made_parcels
from plain import run

import tasks.reports
from flows.check_drift import check_drift
from flows.infer import infer
from flows.retrain import retrain
from flywheel.cli import main
from flywheel.metadata.queries.drift_checks import find_check
from flywheel.monitoring.decision import check_drift as decide
from flywheel.monitoring.joint import ask_jointly
from flywheel.monitoring.sample import window_sample, write_reference_sample
from flywheel.retraining.reference import known_rows
from flywheel.serving.server import ModelServer

TOGETHER = {"multivariate": "domain_classifier", "embeddings": {"size": ["km", "kilos"]}, "joint_sample": 1_000}


def drift(**fields: object) -> Edit:
    def edit(manifest: dict[str, object]) -> None:
        drift_of(manifest).pop("thresholds")
        drift_of(manifest).update(on_drift="alert", act_on="drift", **fields)

    return edit


@pytest.fixture(scope="module")
def opted_in(tmp_path_factory: pytest.TempPathFactory) -> Parcels:
    """A workspace whose champion was trained when the manifest asked for samples already."""
    made = Parcels(tmp_path_factory.mktemp("together") / "w")
    made.make()
    made.workspace.database().create()
    made.revise(drift(**TOGETHER))
    assert run(retrain, made, START).outcome == "promoted"
    return made


@pytest.fixture
def parcels(opted_in: Parcels, tmp_path: Path) -> Iterator[Parcels]:
    copy = opted_in.copy(tmp_path / "w")
    with ModelServer(copy.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        yield Parcels(copy.root, server.address)


def day(parcels: Parcels, number: int, heavy_goes_far: bool = False) -> None:
    """A day of 800 parcels, each feature as ever; the heavy ones may be those that go far."""
    rows = made_parcels(number, end_of(number - 1), 800)
    if heavy_goes_far:
        order = rows["route"].struct.field("km").rank("ordinal").to_numpy() - 1
        rows = rows.with_columns(kilos=pl.Series(np.sort(rows["kilos"].to_numpy())[order]))
    parcels.records(f"{number:02d}.ndjson", rows)
    run(infer, parcels, end_of(number))


def sample_file(parcels: Parcels) -> Path:
    return next((parcels.root / ".flywheel/lake/baselines").rglob(f"{MODEL}-*.parquet"))


def test_a_correlation_only_shift_is_found_and_named(parcels: Parcels) -> None:
    day(parcels, 1)
    calm = run(check_drift, parcels, end_of(1))
    assert (calm.outcome, calm.action) == ("no_drift", "none")
    day(parcels, 2, heavy_goes_far=True)
    found = run(check_drift, parcels, end_of(2))
    assert (found.outcome, found.action) == ("drift", "alert")
    assert "none of 5 features drifted by itself, together they did" in found.reason
    stored = find_check(parcels.workspace.database(), found.check_id)
    classifier, size = stored.joint
    assert (classifier.name, classifier.significant, size.name, size.significant) == (
        "multivariate",
        True,
        "size",
        False,
    )
    assert set(classifier.features) == {"km", "kilos"}
    assert classifier.value is not None
    assert classifier.value > 0.7
    assert not any(feature.significant for feature in stored.features)


def test_explain_shows_it(
    parcels: Parcels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day(parcels, 1, heavy_goes_far=True)
    check = run(check_drift, parcels, end_of(1))
    monkeypatch.chdir(parcels.root)
    with pytest.raises(SystemExit):
        main(["drift", "explain", check.check_id])
    told = capsys.readouterr().out
    assert "AUC 0." in told
    assert "cosine distance" in told
    assert len(told.splitlines()) < 50, "one screen"
    with pytest.raises(SystemExit):
        main(["drift", "explain", check.check_id, "--json"])
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["joint"]] == ["multivariate", "size"]


def test_the_artifact_shows_it(parcels: Parcels, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(tasks.reports, "create_markdown_artifact", lambda text, **_more: shown.append(text))
    day(parcels, 1, heavy_goes_far=True)
    tasks.reports.publish_drift(decide(parcels.context, end_of(1)))
    assert "| multivariate | critical |" in shown[0]
    assert "| size | none |" in shown[0]


def test_the_reference_sample_is_uniform(opted_in: Parcels) -> None:
    """All rows count alike, though the export that the model learns from keeps half of the negatives."""
    sample = pl.read_parquet(sample_file(opted_in))
    history = pl.concat([made_parcels(1000 + each, end_of(-each), 200) for each in range(1, 7)])
    km = history["route"].struct.field("km")
    assert sample.height == 1_000
    assert set(sample.columns) == {"sample_key", "km", "region", "kilos"}
    assert sample["km"].mean() == pytest.approx(km.mean(), abs=2 * km.std() / 1_000**0.5)


def test_a_run_that_died_before_its_baseline_was_written_writes_the_same_sample(parcels: Parcels) -> None:
    rows = known_rows(parcels.context, START)
    file = parcels.root / ".flywheel/lake/baselines/late-parcel/again.parquet"
    write_reference_sample(parcels.context, "again", rows)
    before = file.read_bytes()
    write_reference_sample(parcels.context, "again", rows.sample(fraction=1, shuffle=True, seed=3))
    assert file.read_bytes() == before == sample_file(parcels).read_bytes()


def test_a_baseline_from_before_has_no_sample(parcels: Parcels) -> None:
    sample_file(parcels).unlink()
    day(parcels, 1, heavy_goes_far=True)
    check = run(check_drift, parcels, end_of(1))
    assert check.outcome == "no_drift"
    assert "multivariate: no sample of the reference yet: the next retrain writes it" in check.reason
    assert [each.p_value for each in find_check(parcels.workspace.database(), check.check_id).joint] == [None, None]


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing after it", b"half"])
def test_a_sample_that_is_none_does_not_stop_the_check(parcels: Parcels, content: bytes) -> None:
    sample_file(parcels).write_bytes(content)
    day(parcels, 1)
    check = run(check_drift, parcels, end_of(1))
    assert check.outcome == "no_drift"
    assert "is no Parquet file" in check.reason


def test_an_embedding_that_was_named_after_the_training(parcels: Parcels) -> None:
    sample = pl.read_parquet(sample_file(parcels)).drop("kilos")
    sample.write_parquet(sample_file(parcels))
    day(parcels, 1)
    check = run(check_drift, parcels, end_of(1))
    assert "size: the sample of the reference lacks kilos: the next retrain writes it" in check.reason


def test_a_feature_that_is_only_recorded_does_not_act_through_the_others(parcels: Parcels) -> None:
    parcels.revise(drift(**TOGETHER, importance={"kilos": 0}))
    day(parcels, 1, heavy_goes_far=True)
    assert run(check_drift, parcels, end_of(1)).outcome == "no_drift"


def test_no_sample_without_opting_in(tmp_path: Path) -> None:
    made = Parcels(tmp_path / "w")
    made.make()
    made.workspace.database().create()
    made.revise()
    run(retrain, made, START)
    assert list((made.root / ".flywheel/lake/baselines").rglob("*.parquet")) == []
    config = made.context.pipeline.drift
    assert config is not None
    assert ask_jointly(made.context, config, None, None) == []  # type: ignore[arg-type]


def test_the_windows_sample_is_of_its_batches_only_and_bounded(parcels: Parcels) -> None:
    day(parcels, 1)
    day(parcels, 2, heavy_goes_far=True)
    logged = parcels.table("predictions").filter(pl.col("batch_id").is_in([2, 5])).sort("sample_key")
    sample = window_sample(parcels.context, (2, 5), 300)
    assert sample["sample_key"].to_list() == logged["sample_key"].head(300).to_list()
    assert sample["kilos"].to_list() == logged["kilos"].head(300).to_list()
