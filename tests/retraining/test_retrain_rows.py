"""What a retrain exports, learns from, and freezes as the reference of later drift checks."""

from __future__ import annotations

import polars as pl
import pytest
from parcels import HISTORY, START, Parcels, end_of, feedback_on, known_after, made_parcels
from plain import run

from flows.join_feedback import join_feedback
from flywheel.errors import FlywheelError
from flywheel.metadata.schema import Export
from flywheel.monitoring.reference import find_baseline
from flywheel.retraining.export import export_target, export_training
from flywheel.retraining.reference import baseline_id, known_rows
from flywheel.retraining.rows import bootstrap_rows, training_rows


def exports(parcels: Parcels) -> list[str]:
    with parcels.context.database.session() as session:
        return [row.id for row in session.query(Export)]


def test_an_export_is_made_once_for_each_key(labelled: Parcels) -> None:
    first = export_training(labelled.context, "one", known_after(1))
    assert first is not None
    # More labels come in; what the key stands for stays.
    run(join_feedback, labelled, known_after(2))
    assert export_training(labelled.context, "one", known_after(2)) == first
    second = export_training(labelled.context, "two", known_after(2))
    assert second is not None
    assert second.rows > first.rows
    assert exports(labelled) == ["one", "two"]


def test_an_export_that_was_published_but_not_noted(labelled: Parcels) -> None:
    first = export_training(labelled.context, "one", known_after(1))
    with labelled.context.database.session() as session:
        session.query(Export).delete()
    assert export_training(labelled.context, "one", known_after(1)) == first
    assert exports(labelled) == ["one"]


def test_nothing_labelled_is_no_export(parcels: Parcels) -> None:
    assert export_training(parcels.context, "one", known_after(1)) is None
    assert exports(parcels) == []
    assert not (parcels.root / "exports").exists()


def test_the_places_of_an_export(labelled: Parcels) -> None:
    target = export_target(labelled.context, "one")
    assert target.folder == "exports/one"
    export_training(labelled.context, "one", known_after(1))
    report = labelled.root / ".flywheel/lake/exports/one/data_docs/index.html"
    assert "<html" in report.read_text().lower()


def test_training_rows_are_the_history_and_the_export(labelled: Parcels) -> None:
    alone = training_rows(labelled.context, None, known_after(1))
    assert alone.height == HISTORY
    export = export_training(labelled.context, "one", known_after(1))
    assert export is not None
    rows = training_rows(labelled.context, export, known_after(1))
    assert rows.height == HISTORY + export.rows
    assert rows.columns == ["prediction_id", "event_time", "km", "region", "kilos", "label", "confidence", "weight"]
    assert set(rows["label"]) == {"late", "on_time"}
    logged = rows.filter(pl.col("event_time") >= START)
    assert set(logged.filter(label="late")["weight"]) == {1.0}
    assert set(logged.filter(label="on_time")["weight"]) == {2.0}, "half of them are left out"


def test_the_history_is_read_as_of_a_time(parcels: Parcels) -> None:
    assert bootstrap_rows(parcels.context, end_of(-2)).height == HISTORY * 4 // 6
    parcels.revise(lambda manifest: manifest["spec"]["training"]["bootstrap"].update(until=end_of(-3).isoformat()))
    assert bootstrap_rows(parcels.context, end_of(5)).height == HISTORY * 3 // 6


def test_a_history_that_cannot_be_used(parcels: Parcels) -> None:
    for file in (parcels.root / "data/history").iterdir():
        file.write_text('{"id": "a", "timestamp": "2024-02-01T00:00:00Z", "route": {"km": "far"}}\n')
    with pytest.raises(FlywheelError, match=r"the bootstrap source 'history' has no usable record: .*km = 'far'"):
        bootstrap_rows(parcels.context, START)


def test_the_reference_is_every_row_known_labelled_or_not(labelled: Parcels) -> None:
    assert known_rows(labelled.context, START).height == HISTORY
    assert known_rows(labelled.context, end_of(1)).height == HISTORY + 400
    assert known_rows(labelled.context, end_of(2)).height == HISTORY + 600


def test_a_baseline_for_each_key(parcels: Parcels) -> None:
    """Its id is part of drift checks' ids, which the database takes up to 150 characters of."""
    ids = {baseline_id(parcels.context, key) for key in ("a", "b", "x" * 150)}
    assert len(ids) == 3
    assert max(map(len, ids)) < 80
    card = parcels.context.registry.get("late-parcel", 1).card
    assert card.baseline_id == baseline_id(parcels.context, "parcels.20240301T000000Z")
    baseline = find_baseline(parcels.context, "late-parcel", 1)
    assert baseline is not None
    assert (baseline.id, baseline.rows, baseline.created) == (card.baseline_id, HISTORY, START)
    assert set(baseline.features) == {"km", "region", "kilos", "prediction.score", "prediction.label"}


def test_conflicting_labels_are_learned_as_the_surest_and_first(labelled: Parcels) -> None:
    again = made_parcels(1, START, 400, shift=100).head(10)
    opposite = again.with_columns(minutes_late=-again["minutes_late"])
    labelled.events("01-again.ndjson", feedback_on(opposite, hours=3))
    joined = run(join_feedback, labelled, known_after(1.5))
    assert joined.conflicts == 10
    before = export_training(labelled.context, "before", known_after(1))
    after = export_training(labelled.context, "after", known_after(1.5))
    assert before is not None
    assert after is not None
    names = ["prediction_id", "label"]
    one, two = (training_rows(labelled.context, each, end_of(9)).select(names) for each in (before, after))
    assert one.sort(names).equals(two.sort(names))
