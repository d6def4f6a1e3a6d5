"""Names that would be SQL, shell or paths, in every field of a record, through all that keeps or queries them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hostile import NAMES, attack, names, tree
from hypothesis import example, given
from hypothesis import strategies as st
from made_records import TIME, make_pipeline
from source_places import LATER, make_place

from flywheel.export.manifest import Lineage
from flywheel.export.read import read_export
from flywheel.export.sample import select_training_rows
from flywheel.export.write import write_export
from flywheel.feedback.join import JoinBatch, join_feedback
from flywheel.lake.storage import Location, StorageMap
from flywheel.lake.tables import FEEDBACK, PipelineTables, pipeline_tables
from flywheel.manifest.schema import output_schema
from flywheel.manifest.training import ExportConfig
from flywheel.records.prepare import needed_paths, prepare

PIPELINE = make_pipeline(
    [{"name": "kind", "source_field": "$['it''s'].kind".replace("''", "\\'"), "type": "category"}],
    entity_key="$.entity",
    outputs={"score": {"tensor": "value"}},
)
CONFIG = ExportConfig.model_validate({"destination_uri": "exports", "partition_by": ["label", "date"]})
NOW = datetime(2013, 1, 2, tzinfo=UTC)


def prepared_rows(folder: Path, texts: list[str]) -> pl.DataFrame:
    """Records with each text as id, entity and category, as they come out of their file."""
    record = {"timestamp": "2013-01-01T00:00:00Z"}
    lines = [json.dumps({**record, "id": text, "entity": text, "it's": {"kind": text}}) for text in texts]
    place = make_place("ndjson", folder)
    place.path("a").write_text("\n".join(lines) + "\n", encoding="utf-8")  # type: ignore[attr-defined]
    source = place.source()
    records = source.read(source.plan({}, LATER, 1000), needed_paths(PIPELINE, TIME))
    prepared = prepare(records, PIPELINE, TIME)
    assert prepared.rows.height + prepared.quarantined.height == len(texts)
    return prepared.rows


def log(tables: PipelineTables, rows: pl.DataFrame) -> pl.DataFrame:
    """Append rows to the log as scored ones, and return what the log then holds."""
    scored = rows.with_columns(
        predicted_at=NOW,
        model_id=pl.lit("m"),
        model_version=1,
        variant=pl.lit("champion"),
        batch_id=1,
        status=pl.lit("ok"),
        prediction=pl.struct(score=0.5),
        date=pl.col("event_time").dt.date(),
    )
    tables.predictions.append_once(scored, "p/records", 1)
    return tables.predictions.read(tables.predictions.files()).sort("prediction_id")


def events_on(rows: pl.DataFrame) -> pl.DataFrame:
    """An event on each row that states the row's id as its label and its own name."""
    return rows.select(
        "prediction_id",
        event="prediction_id",
        event_time="event_time",
        received_at="event_time",
        label="prediction_id",
        confidence=pl.lit(1.0),
        batch_id=pl.lit(1, pl.Int64),
        sample_key="sample_key",
        date=pl.col("event_time").dt.date(),
    ).cast(dict(FEEDBACK))  # type: ignore[arg-type]


@given(st.lists(names, min_size=1, max_size=4, unique=True))
@attack(8)
@example(NAMES)
def test_names_come_through_unchanged_and_do_nothing(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        (folder / "here").mkdir()
        patch.chdir(folder / "here")
        rows = prepared_rows(folder / "source", texts).sort("prediction_id")
        assert rows["prediction_id"].to_list() == sorted(texts)
        before = tree(folder)

        tables = pipeline_tables(Location(str(folder / "lake")), "p", output_schema(PIPELINE))
        logged = log(tables, rows)
        assert logged.select(rows.columns).equals(rows)
        assert logged["entity"].to_list() == logged["kind"].to_list() == sorted(texts)

        batch = JoinBatch(1, events_on(rows), NOW, None, 1, timedelta(days=1))
        joined = join_feedback(tables, batch)
        assert joined.labels.sort("prediction_id")["label"].to_list() == sorted(texts)
        tables.labels.append_once(joined.labels, "p/feedback", 1)

        stated = tables.labels.scan(tables.labels.files())
        training = select_training_rows(tables.predictions.scan(tables.predictions.files()), stated, PIPELINE, NOW)
        assert training["prediction_id"].sort().to_list() == sorted(texts)
        assert training.filter(pl.col("label") != pl.col("prediction_id")).is_empty()

        storage, lineage = StorageMap(base=folder), Lineage(pipeline="p", revision=1, as_of=NOW)
        manifest = write_export(storage, str(folder / "exports" / "e"), training, CONFIG, "e", lineage)
        assert len(manifest.files) == len(texts)
        assert read_export(storage, str(folder / "exports" / "e")).equals(training)

        after = tree(folder)
        assert {name: after[name] for name in before} == before
        assert all(name.split("/")[0] in ("lake", "exports") for name in after.keys() - before.keys())
        assert all(name.split("/")[1] == "p" for name in after.keys() - before.keys() if name.startswith("lake"))
        assert not any("pwned" in path.name for path in folder.parent.iterdir())
        assert not Path("/tmp/pwned").exists()
        assert not any((folder / "here").iterdir())


@pytest.mark.parametrize("label", ["é" * 300, "x" * 100_000, "a" * 250 + "b", "a" * 250 + "c"])
def test_a_label_too_long_for_a_folder_is_exported_all_the_same(tmp_path: Path, label: str) -> None:
    rows = pl.DataFrame({"event_time": [NOW] * 2, "prediction_id": ["a", "b"], "model_version": [1, 1], "weight": 1.0})
    rows = rows.with_columns(label=pl.Series([label, f"{label}!"]))
    storage, lineage = StorageMap(base=tmp_path), Lineage(pipeline="p", revision=1, as_of=NOW)
    write_export(storage, str(tmp_path / "e"), rows, CONFIG, "e", lineage)
    assert read_export(storage, str(tmp_path / "e")).select(rows.columns).equals(rows)
