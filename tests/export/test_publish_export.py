"""An export is there whole or not at all, the same on every run, and reads back as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from flywheel.errors import ExportGateError, FlywheelError, NotFoundError
from flywheel.export.manifest import ExportManifest, Lineage
from flywheel.export.publish import ExportTarget, publish_export
from flywheel.export.read import read_export
from flywheel.export.sample import select_training_rows
from flywheel.export.write import find_export, write_export
from flywheel.lake.storage import StorageMap
from flywheel.manifest.pipeline import Pipeline

MakePipeline = Callable[..., Pipeline]
TARGET = ExportTarget("flights-1", "exports", "lake/exports/flights-1/data_docs")
STRATIFIED = {"strategy": "stratified", "negative_rate": 0.3}


class KilledError(Exception):
    pass


class DyingStorage(StorageMap):
    """Stops at a write, as a killed process does."""

    def dies_before(self, write: int) -> StorageMap:
        object.__setattr__(self, "left", write)
        return self

    def _count(self) -> None:
        self.left: int
        if self.left == 0:
            raise KilledError
        object.__setattr__(self, "left", self.left - 1)

    def write(self, uri: str, data: bytes) -> None:
        self._count()
        super().write(uri, data)

    def write_once(self, uri: str, data: bytes) -> bool:
        self._count()
        return super().write_once(uri, data)


@pytest.fixture
def rows(make_pipeline: MakePipeline, make_predictions: Any, make_labels: Any, as_of: datetime) -> pl.DataFrame:
    predictions = make_predictions(600)
    pipeline = make_pipeline({"sampling": STRATIFIED})
    return select_training_rows(predictions.lazy(), make_labels(predictions).lazy(), pipeline, as_of)


@pytest.fixture
def lineage(as_of: datetime) -> Lineage:
    return Lineage(pipeline="flights", revision=3, as_of=as_of, predictions_version=7, labels_version=5)


def files_of(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


PARTITIONS = [[], ["date"], ["date", "model_version"], ["label", "variant"], ["model_version", "label"]]


@pytest.mark.parametrize("partition_by", PARTITIONS, ids="-".join)
def test_rows_come_back_as_they_were(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage, partition_by: list[str]
) -> None:
    config = make_pipeline({"partition_by": partition_by}).export
    assert config is not None
    odd = rows.with_columns(
        label=pl.lit("a b/ü=%") + pl.col("label"),
        variant=pl.when(pl.col("wind") > 50).then(pl.lit("champion")),
    )
    manifest = write_export(storage, "out/x", odd, config, "x", lineage)
    assert_frame_equal(read_export(storage, "out/x"), odd)
    assert manifest == find_export(storage, "out/x")
    assert manifest.rows == sum(file.rows for file in manifest.files) == odd.height


def test_duckdb_reads_the_partitions(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage
) -> None:
    pipeline = make_pipeline({"partition_by": ["date", "model_version"], "sampling": STRATIFIED})
    publish_export(rows, pipeline, TARGET, lineage, storage)
    folder = storage.resolve(TARGET.folder).uri
    found = duckdb.sql(
        "SELECT model_version, count(*), sum(weight)"
        f" FROM read_parquet('{folder}/*/*/*.parquet', hive_partitioning=true)"
        " WHERE date = DATE '2013-01-05' GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    day = rows.filter(pl.col("event_time").dt.date() == datetime(2013, 1, 5).date())  # noqa: DTZ001
    expected = day.group_by("model_version").agg(pl.len(), pl.col("weight").sum()).sort("model_version").rows()
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected])


def test_the_manifest_tells_what_is_in_it(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage
) -> None:
    manifest = publish_export(rows, make_pipeline({"sampling": STRATIFIED}), TARGET, lineage, storage)
    folder = Path(storage.resolve(TARGET.folder).uri)
    written = json.loads((folder / "_export.json").read_text())
    assert ExportManifest.model_validate(written) == manifest
    assert manifest.lineage == lineage
    assert manifest.model_versions == [1, 2]
    assert [column.name for column in manifest.columns] == rows.columns
    assert {label.label: label.rows for label in manifest.labels} == dict(rows["label"].value_counts().iter_rows())
    assert manifest.weight == pytest.approx(rows["weight"].sum())
    for file in manifest.files:
        data = (folder / file.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file.bytes, file.sha256)


def test_two_runs_write_the_same_bytes(
    make_pipeline: MakePipeline, tmp_path: Path, rows: pl.DataFrame, lineage: Lineage
) -> None:
    pipeline = make_pipeline({"sampling": STRATIFIED, "partition_by": ["date", "label"]})
    for name in ("one", "two"):
        publish_export(rows, pipeline, TARGET, lineage, StorageMap(base=tmp_path / name))
    assert files_of(tmp_path / "one" / "exports") == files_of(tmp_path / "two" / "exports")


def test_published_again_nothing_changes(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage, tmp_path: Path
) -> None:
    pipeline = make_pipeline({"sampling": STRATIFIED})
    first = publish_export(rows, pipeline, TARGET, lineage, storage)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert publish_export(rows, pipeline, TARGET, lineage, storage) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_id_that_is_taken_is_refused(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage, tmp_path: Path
) -> None:
    pipeline = make_pipeline({"sampling": STRATIFIED})
    publish_export(rows, pipeline, TARGET, lineage, storage)
    before = files_of(tmp_path)
    other = lineage.model_copy(update={"revision": 4})
    with pytest.raises(FlywheelError, match="published already, from flights revision 3"):
        publish_export(rows, pipeline, TARGET, other, storage)
    assert files_of(tmp_path) == before


def test_killed_anywhere_and_run_again_it_is_as_if_nothing_had_happened(
    make_pipeline: MakePipeline, tmp_path: Path, rows: pl.DataFrame, lineage: Lineage
) -> None:
    config = make_pipeline({"sampling": STRATIFIED, "partition_by": ["label", "model_version"]}).export
    assert config is not None
    manifest = write_export(StorageMap(base=tmp_path / "calm"), "x", rows, config, "x", lineage)
    undisturbed = files_of(tmp_path / "calm")
    for write in range(len(manifest.files) + 1):
        storage = DyingStorage(base=tmp_path / str(write))
        # The attempt that died had begun with other partitions, so it left files that do not belong.
        by_date = config.model_copy(update={"partition_by": ["date", "label"]})
        with pytest.raises(KilledError):
            write_export(storage.dies_before(write), "x", rows, by_date, "x", lineage)
        assert find_export(storage, "x") is None
        with pytest.raises(NotFoundError):
            read_export(storage, "x")
        with pytest.raises(KilledError):
            write_export(storage.dies_before(write), "x", rows, config, "x", lineage)
        assert find_export(storage, "x") is None
        write_export(storage.dies_before(-1), "x", rows, config, "x", lineage)
        assert files_of(tmp_path / str(write)) == undisturbed


def test_a_failed_gate_publishes_nothing(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage, tmp_path: Path
) -> None:
    pipeline = make_pipeline({"sampling": STRATIFIED})
    publish_export(rows, pipeline, TARGET, lineage, storage)
    destination = tmp_path / "exports"
    before = sorted(destination.rglob("*"))
    bad = ExportTarget("flights-2", "exports", "lake/exports/flights-2/data_docs")
    broken = rows.with_columns(wind=pl.lit(-1.0), label=pl.lit("maybe"))
    with pytest.raises(ExportGateError) as caught:
        publish_export(broken, pipeline, bad, lineage, storage)
    assert sorted(destination.rglob("*")) == before
    text = str(caught.value)
    assert "'flights-2'" in text
    assert f"label is one of 'late', 'on_time': {rows.height} of {rows.height} rows, e.g. 'maybe'" in text
    assert "wind is at least 0 and at most 100" in text
    assert "nothing was published" in text
    report = tmp_path / "lake" / "exports" / "flights-2" / "data_docs" / "index.html"
    assert str(report) in text
    assert "maybe" in report.read_text()


def test_a_failed_gate_does_not_even_make_the_destination(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage, tmp_path: Path
) -> None:
    with pytest.raises(ExportGateError):
        publish_export(rows.clear(), make_pipeline({"sampling": STRATIFIED}), TARGET, lineage, storage)
    assert not (tmp_path / "exports").exists()


def test_a_file_that_was_changed_is_not_read(
    make_pipeline: MakePipeline, storage: StorageMap, rows: pl.DataFrame, lineage: Lineage
) -> None:
    manifest = publish_export(rows, make_pipeline({"sampling": STRATIFIED}), TARGET, lineage, storage)
    file = manifest.files[0]
    storage.write(f"{TARGET.folder}/{file.path}", storage.read_bytes(f"{TARGET.folder}/{file.path}") + b"x")
    with pytest.raises(FlywheelError, match="SHA-256 differs"):
        read_export(storage, TARGET.folder)
