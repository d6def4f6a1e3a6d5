"""The counting of lost and doubled rows, without which the other tests of this folder prove nothing."""

from __future__ import annotations

import polars as pl
from audit import Losses, audit
from state import State

_ROWS = pl.DataFrame(
    {"id": ["a", "b", "b", None], "prediction": [{"score": 0.1}, {"score": 0.2}, {"score": 0.2}, None]}
)


def _state(rows: pl.DataFrame) -> State:
    return State({"predictions": rows, "labels": _ROWS}, {}, {})


def test_the_same_rows_in_another_order() -> None:
    assert audit(_state(_ROWS.reverse()), _state(_ROWS)) == Losses(8, 0, 0)


def test_a_lost_row_and_one_twice() -> None:
    assert audit(_state(_ROWS.slice(0, 3)), _state(_ROWS)) == Losses(8, 1, 0)
    assert audit(_state(pl.concat([_ROWS, _ROWS.slice(1, 1)])), _state(_ROWS)) == Losses(8, 0, 1)


def test_a_changed_row_is_both() -> None:
    changed = _ROWS.with_columns(id=pl.col("id").replace("a", "c"))
    assert audit(_state(changed), _state(_ROWS)) == Losses(8, 1, 1)


def test_an_empty_table() -> None:
    assert audit(_state(_ROWS.clear()), _state(_ROWS)) == Losses(8, 4, 0)
