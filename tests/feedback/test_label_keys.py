"""Label rows have the key of their prediction; those that an earlier Flywheel wrote have none, and count the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl
from feedback_loop import Event, Loop

from flywheel.feedback.counts import JoinCounts
from flywheel.records.sample_key import sample_keys

HOUR = timedelta(hours=1)


def test_a_label_row_has_the_key_of_its_prediction() -> None:
    loop = Loop()
    loop.predict(a=0, b=1)
    loop.join([Event("a", 3, 3), Event("b", 3, 3, "on_time")], at_hour=4)
    rows = loop.tables.labels.read(loop.tables.labels.files())
    assert rows["sample_key"].equals(sample_keys(rows["prediction_id"]))


def test_labels_without_a_key_are_known() -> None:
    """What came before there was a key is not labelled again, and a second opinion disputes it."""
    loop = Loop()
    loop.predict(a=0, b=1)
    labels = loop.tables.labels
    before = labels.schema.copy()
    del before["sample_key"]
    row = {"prediction_id": "a", "label": "late", "confidence": 1.0, "event": "landed", "batch_id": 0}
    at = loop.tables.predictions.read(loop.tables.predictions.files())["event_time"][0]
    times = {"event_time": at + 3 * HOUR, "received_at": at + 3 * HOUR, "date": at.date()}
    keyless = replace(labels, schema=before)
    keyless.append_once(pl.DataFrame([row | times], schema=before), "p/before", 1)
    assert loop.join([Event("a", 3, 4), Event("b", 3, 4)], at_hour=5) == JoinCounts(labelled=1, duplicates=1)
    assert loop.join([Event("a", 4, 5, "on_time")], at_hour=6) == JoinCounts(labelled=1, conflicts=1)
    assert loop.labels() == [("a", "late"), ("a", "on_time"), ("b", "late")]
