"""Fixtures on ``made_records``, which is importable because of this file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flywheel.manifest.pipeline import Pipeline
from flywheel.records.prepare import Prepared, prepare
from flywheel.records.records import Records

sys.path.insert(0, str(Path(__file__).parent))

from made_records import TIME, make_pipeline, make_records

Prepare = Callable[..., Prepared]


@pytest.fixture
def prepare_values() -> Prepare:
    """Prepare records that have one feature, ``x``, with these values and this declaration."""

    def run(values: pl.Series | Sequence[Any], **feature: Any) -> Prepared:
        column = values if isinstance(values, pl.Series) else pl.Series(values, strict=False)
        pipeline = make_pipeline([{"name": "x", "source_field": "$.x", **feature}])
        frame = pl.DataFrame({"x": column}).with_columns(
            id=pl.format("r{}", pl.int_range(pl.len())), timestamp=pl.lit("2013-01-01T05:00:00Z")
        )
        return prepare(make_records(frame, pipeline), pipeline, TIME)

    return run


@pytest.fixture
def pipeline_of() -> Callable[..., Pipeline]:
    return make_pipeline


@pytest.fixture
def records_of() -> Callable[..., Records]:
    return make_records
