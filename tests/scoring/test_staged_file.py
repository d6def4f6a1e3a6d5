"""A staged batch comes back as it was, also from the file of an earlier version."""

from __future__ import annotations

import io

import polars as pl
import pytest

from flywheel.lake.tables import QUARANTINE
from flywheel.scoring.staging import ScoredBatch, from_bytes, to_bytes

SCHEMA = pl.Schema({name: dtype for name, dtype in QUARANTINE.items() if name != "date"})
PREDICTIONS = pl.DataFrame({"prediction_id": ["a", None, "c"], "score": [1.0, None, 0.5]})
REFUSED = pl.DataFrame({"batch_id": [7], "reason": ["not JSON"]})


def batch(predictions: pl.DataFrame, refused: pl.DataFrame) -> ScoredBatch:
    return ScoredBatch(7, predictions, pl.concat([pl.DataFrame(schema=SCHEMA), refused], how="diagonal"))


def a_row_each(staged: ScoredBatch) -> bytes:
    """The file as it was before: two columns of structs, the shorter one filled up with nulls."""
    frames = {"predictions": staged.predictions, "quarantined": staged.quarantined}
    columns = [frame.select(pl.struct(pl.all()).alias(name)) for name, frame in frames.items()]
    buffer = io.BytesIO()
    pl.concat(columns, how="diagonal").write_ipc(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("write", [to_bytes, a_row_each])
@pytest.mark.parametrize("predictions", [PREDICTIONS, PREDICTIONS.clear()])
@pytest.mark.parametrize("refused", [REFUSED, REFUSED.clear()])
def test_it_comes_back(write, predictions: pl.DataFrame, refused: pl.DataFrame) -> None:
    staged = batch(predictions, refused)
    found = from_bytes(write(staged), 7)
    assert found.number == 7
    assert found.predictions.equals(staged.predictions)
    assert found.quarantined.equals(staged.quarantined)
