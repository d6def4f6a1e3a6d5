"""Which rows an export has depends on nothing but its rows: not on the engine, the type of the ids, or the run."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flywheel.export.classes import Classes
from flywheel.export.manifest import Lineage
from flywheel.export.rates import positive_label, rates_of
from flywheel.export.sample import select_training_rows
from flywheel.export.write import write_export
from flywheel.feedback.winning import winning_labels
from flywheel.lake.duck import connect
from flywheel.lake.storage import Location, StorageMap
from flywheel.lake.tables import pipeline_tables
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import output_schema
from flywheel.records.sample_key import sample_keys

MakeRows = Callable[..., pl.DataFrame]
STATEMENT = Path(__file__).with_name("sampled_by_duckdb.sql").read_text()
STRATIFIED = {"strategy": "stratified", "positive_rate": 0.8, "negative_rate": 0.05}


@pytest.fixture
def pipeline(make_pipeline: Callable[..., Pipeline]) -> Pipeline:
    return make_pipeline({"sampling": STRATIFIED, "partition_by": ["date"]})


@pytest.fixture
def predictions(make_predictions: MakeRows) -> pl.DataFrame:
    """Predictions whose ids are UUIDs in text."""
    rows = make_predictions(4_000)
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, name)) for name in rows["prediction_id"]]
    return rows.with_columns(prediction_id=pl.Series(ids), sample_key=sample_keys(pl.Series(ids)))


@pytest.fixture
def labels(predictions: pl.DataFrame, make_labels: MakeRows) -> pl.DataFrame:
    """A label for each, and second opinions that are surer, earlier, or equal to the first."""
    first = make_labels(predictions)
    second = make_labels(predictions.head(1_500), 0.6).with_columns(pl.col("event_time") - timedelta(hours=1))
    return pl.concat([first, second, first.tail(300).with_columns(label=pl.lit("late"))])


@pytest.mark.parametrize("kind", ["VARCHAR", "UUID", "BLOB"])
def test_duckdb_picks_the_same_rows_from_ids_of_any_type(
    predictions: pl.DataFrame, labels: pl.DataFrame, pipeline: Pipeline, as_of: datetime, kind: str
) -> None:
    rows = select_training_rows(predictions.lazy(), labels.lazy(), pipeline, as_of)
    assert pipeline.export is not None
    classes = Classes.of(rates_of(pipeline.export.sampling), positive_label(pipeline, pipeline.export.sampling))
    parameters = {
        "as_of": as_of,
        "positive_label": "late",
        "positive_limit": classes.positive_limit,
        "negative_limit": classes.negative_limit,
    }
    with connect() as connection:
        for name, frame in (("predictions", predictions), ("labels", labels)):
            connection.register(f"text_{name}", frame.drop("prediction", strict=False).to_arrow())
            connection.execute(
                f"CREATE TEMP VIEW {name} AS SELECT * REPLACE (prediction_id::{kind} AS prediction_id) FROM text_{name}"
            )
        found = pl.DataFrame(connection.sql(STATEMENT, params=parameters).to_arrow_table())
    assert found.equals(rows.select("prediction_id", "label").sort("prediction_id"))
    assert 0 < rows.height < predictions.height / 2


def test_the_key_of_an_id_is_the_same_whatever_it_came_as() -> None:
    text = pl.Series(["0000a-1", "ü", "b"])
    assert sample_keys(text.cast(pl.Categorical)).equals(sample_keys(text))
    expected = [int.from_bytes(hashlib.sha256(each.encode()).digest()[:8], "big", signed=True) for each in text]
    assert sample_keys(text).to_list() == expected


@pytest.mark.parametrize("sampling", [STRATIFIED, {"strategy": "reservoir", "size": 300}, {"strategy": "all"}])
def test_two_runs_give_the_same_bytes_however_the_tables_are_laid_out(
    predictions: pl.DataFrame,
    labels: pl.DataFrame,
    make_pipeline: Callable[..., Pipeline],
    as_of: datetime,
    tmp_path: Path,
    sampling: dict[str, Any],
) -> None:
    """Hourly files in one lake, one file a day in the other, the rows of each in another order."""
    pipeline = make_pipeline({"sampling": sampling, "partition_by": ["date"]})
    assert pipeline.export is not None
    written = {}
    for name, size, seed in (("small", 150, 1), ("large", 5_000, 2)):
        tables = pipeline_tables(Location(str(tmp_path / name)), "flights", output_schema(pipeline))
        for table, rows in ((tables.predictions, predictions), (tables.labels, labels)):
            shuffled = rows.sample(fraction=1, shuffle=True, seed=seed).with_columns(
                date=pl.col("event_time").dt.date()
            )
            for number, part in enumerate(shuffled.iter_slices(size), start=1):
                table.append_once(part, "p", number)
        logged = tables.predictions.scan(tables.predictions.files())
        rows = select_training_rows(logged, tables.labels.scan(tables.labels.files()), pipeline, as_of)
        lineage = Lineage(pipeline="flights", revision=1, as_of=as_of)
        write_export(StorageMap(base=tmp_path / f"{name}-out"), "x", rows, pipeline.export, "x", lineage)
        files = (path for path in (tmp_path / f"{name}-out").rglob("*") if path.is_file())
        written[name] = {str(path.relative_to(tmp_path / f"{name}-out")): path.read_bytes() for path in files}
    assert written["small"] == written["large"]
    assert len(written["small"]) > 10


def test_the_winner_does_not_depend_on_the_order(labels: pl.DataFrame, as_of: datetime) -> None:
    """The surest label, then the earliest, then by its text; against sort and first."""
    rule = ["confidence", "event_time", "label", "event", "received_at"]
    ordered = labels.sort(rule, descending=[True, *[False] * 4])
    expected = ordered.unique("prediction_id", keep="first").select("prediction_id", *rule).sort("prediction_id")
    for seed in (1, 2):
        shuffled = labels.sample(fraction=1, shuffle=True, seed=seed).lazy()
        assert winning_labels(shuffled, as_of).select(expected.columns).sort("prediction_id").equals(expected)
