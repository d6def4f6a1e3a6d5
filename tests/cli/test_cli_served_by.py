"""``flywheel model show`` says what serves a version."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from flywheel.metadata.database import Database
from flywheel.metadata.schema import ModelVersion


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"onnx": {"sha256": "0" * 64, "compared": 12048}}, "ONNX Runtime, which answered 12,048 rows as scikit-learn"),
        ({"onnx": None, "onnx_refusal": "onnxruntime is not installed"}, "scikit-learn; onnxruntime is not installed"),
        ({}, "scikit-learn"),  # registered by an earlier Flywheel
    ],
)
def test_what_serves_a_version_is_shown(run: Any, filled: Database, card: dict[str, Any], said: str) -> None:
    with filled.session() as session:
        session.execute(update(ModelVersion).where(ModelVersion.version == 2).values(card={"task": "anomaly"} | card))
    lines = run("model", "show", "late-arrival").out.splitlines()
    (served,) = [line for line in lines if line.strip().startswith("served by")]
    assert said in served
