"""Labels that an earlier Flywheel wrote have no ``sample_key``; an export finds them all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flywheel.export.sample import select_training_rows
from flywheel.lake.storage import Location
from flywheel.lake.tables import LABELS, LakeTable
from flywheel.manifest.pipeline import Pipeline

MakeRows = Callable[..., pl.DataFrame]
KEYED = pl.Schema({**{name: dtype for name, dtype in LABELS.items() if name != "date"}, "sample_key": pl.Int64()})
NOW = pl.Schema({**KEYED, "date": pl.Date()})
BEFORE = pl.Schema({name: dtype for name, dtype in NOW.items() if name != "sample_key"})


@pytest.mark.parametrize("upgraded", [0, 2, 4], ids=["never", "half way", "from the start"])
@pytest.mark.parametrize(
    "sampling",
    [
        {"strategy": "all"},
        {"strategy": "stratified", "positive_rate": 0.9, "negative_rate": 0.05},
        {"strategy": "hard_negative", "negative_rate": 0.1, "hard_threshold": 0.8},
        {"strategy": "reservoir", "size": 137},
    ],
    ids=lambda sampling: sampling["strategy"],
)
def test_a_table_that_was_begun_without_keys_gives_the_same_rows(
    make_pipeline: Callable[..., Pipeline],
    make_predictions: MakeRows,
    make_labels: MakeRows,
    as_of: datetime,
    tmp_path: Path,
    sampling: dict[str, Any],
    upgraded: int,
) -> None:
    """The first files have no such column; the version that adds it appends to the same table."""
    pipeline = make_pipeline({"sampling": sampling})
    predictions = make_predictions(800)
    labels = make_labels(predictions)
    table = LakeTable(Location(str(tmp_path)), BEFORE)
    now = replace(table, schema=NOW)
    for number, part in enumerate(labels.with_columns(date=pl.col("event_time").dt.date()).iter_slices(200)):
        (now if number >= 4 - upgraded else table).append_once(part, "p", number)
    rows = select_training_rows(predictions.lazy(), now.scan(now.files()), pipeline, as_of)
    assert rows.equals(select_training_rows(predictions.lazy(), labels.lazy(), pipeline, as_of))
    assert rows.height > 20


def test_two_ids_with_one_key_have_their_own_labels(
    make_pipeline: Callable[..., Pipeline], make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    """A hash of 64 bits may come twice in a log of 10^10 rows."""
    pipeline = make_pipeline({"sampling": {"strategy": "all"}})
    predictions = make_predictions(50)
    expected = select_training_rows(predictions.lazy(), make_labels(predictions).lazy(), pipeline, as_of)
    alike = predictions.with_columns(sample_key=pl.lit(7, pl.Int64))
    assert select_training_rows(alike.lazy(), make_labels(alike).lazy(), pipeline, as_of).equals(expected)
    assert expected["label"].n_unique() == 2
