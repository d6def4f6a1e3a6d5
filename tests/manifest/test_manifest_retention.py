"""Retention must not take what the loop still reads; each rule is broken once."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta

import pytest

from flywheel.errors import ManifestError
from flywheel.lake.tables import PipelineTables
from flywheel.manifest.load import parse
from flywheel.manifest.retention import Retention


def with_retention(text: str, retention: str) -> str:
    return f"{text}  retention: {{{retention}}}\n"


def test_every_table_has_its_retention_and_is_kept_for_ever() -> None:
    tables = {field.name for field in fields(PipelineTables)}
    assert set(Retention.model_fields) == tables | {"drift_checks", "grace"}
    assert all(getattr(Retention(), name) is None for name in tables)


@pytest.mark.parametrize(
    ("retention", "field", "message"),
    [
        # Feedback of the manifest comes within a day, its drift window is a week, its hold-out a week too.
        ("predictions: 60h", "predictions", "must be at least 3d; feedback is waited for that long"),
        ("predictions: 7d", "predictions", "must be at least 8d; a retrain holds out"),
        ("feedback: 2d", "feedback", "must be at least 3d"),
        ("profiles: 6d", "profiles", "must be at least 7d; a drift check looks that far back"),
        ("labels: 30d", "labels", "is shorter than predictions are kept, for ever"),
        ("labels: 30d, predictions: 31d", "labels", "is shorter than predictions are kept, for 31d"),
        ("rescored: 30d, predictions: 31d", "rescored", "a row would be scored again"),
        ("grace: 10m", "grace", "must be from 1h to 28d"),
        ("grace: 60d", "grace", "must be from 1h to 28d"),
        ("predictions: soon", "predictions", "is not a duration"),
        ("prediction: 30d", "prediction", "did you mean 'predictions'"),
    ],
)
def test_what_is_too_short(whole_text: str, retention: str, field: str, message: str) -> None:
    with pytest.raises(ManifestError) as error:
        parse(with_retention(whole_text, retention)).pipeline("whole")
    told = [problem.message for problem in error.value.problems if problem.path == f"spec.retention.{field}"]
    assert any(message in each for each in told), told


def test_a_performance_window_that_would_never_be_whole(whole_text: str) -> None:
    with pytest.raises(ManifestError, match="must be at least 31d; a performance window is final only then"):
        parse(with_retention(f"{whole_text}  performance: {{window: 30d}}\n", "predictions: 30d")).pipeline("whole")


def test_rows_that_a_drift_check_samples_stay_for_its_window(whole_text: str) -> None:
    text = with_retention(whole_text.replace("window: 7d", "window: 20d"), "predictions: 10d, labels: 10d")
    assert parse(text).pipeline("whole").drift is not None
    with pytest.raises(ManifestError, match="must be at least 20d; a drift check takes a sample"):
        parse(text.replace("window: 20d", "window: 20d\n        multivariate: domain_classifier")).pipeline("whole")


def test_what_is_long_enough(whole_text: str) -> None:
    kept = "predictions: 8d, labels: 8d, feedback: 3d, profiles: 7d, quarantine: 1h, grace: 1h"
    text = with_retention(whole_text, kept)
    assert parse(text).pipeline("whole").spec.retention.predictions == timedelta(days=8)
