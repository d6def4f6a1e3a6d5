"""What is expected before labels: of calibrated scores, of a model of the loss; nothing where nothing calibrates."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from flywheel.manifest.features import Feature
from flywheel.manifest.jsonpath import JsonPath
from flywheel.performance.estimate import expected_metrics
from flywheel.performance.truth import Task
from flywheel.training.evaluate import score_metrics, value_metrics

KM = [Feature(name="km", source_field=JsonPath("$.km"))]


def scored(seed: int, rows: int, slope: float = 1.0) -> pl.DataFrame:
    """Predictions whose log odds are ``slope`` times too large, with their labels."""
    random = np.random.default_rng(seed)
    odds = random.normal(-0.5, 1.5, rows)
    score = 1 / (1 + np.exp(-slope * odds))
    truth = random.random(rows) < 1 / (1 + np.exp(-odds))
    said = pl.DataFrame({"label": np.where(score > 0.5, "late", "on_time"), "score": score}).to_struct()
    label = np.where(truth, "late", "on_time")
    return pl.DataFrame({"output": said, "label": label}).with_columns(
        confidence=1.0, sample_key=pl.int_range(pl.len()), event_time=pl.int_range(pl.len())
    )


@pytest.mark.parametrize("slope", [1.0, 2.0])
def test_scores_promise_their_metrics_once_calibrated(slope: float) -> None:
    """Also where the model is too sure of itself, as long as it is so in the same way."""
    task, window = Task("classification", "late"), scored(2, 15_000, slope)
    found = expected_metrics(task, scored(1, 15_000, slope), window.drop("label"), [])
    truth, output = (window["label"] == "late").to_numpy(), window["output"].struct
    wanted = score_metrics(truth, output.field("score").to_numpy(), np.ones(window.height))
    wanted["accuracy"] = float(((output.field("label") == "late").to_numpy() == truth).mean())
    assert found == pytest.approx(wanted, abs=0.02)


def test_an_anomaly_is_estimated_alike() -> None:
    rows = scored(3, 6_000).with_columns(
        output=pl.struct(
            is_anomaly=pl.col("output").struct.field("score") > 0.5, score=pl.col("output").struct.field("score")
        )
    )
    found = expected_metrics(Task("anomaly", "late"), rows[:3_000], rows[3_000:], [])
    assert found["accuracy"] == pytest.approx(0.77, abs=0.03)


def test_a_loss_model_sees_where_errors_are_large() -> None:
    """Errors grow with the distance; the window has longer distances than what was learned from, on average."""
    random = np.random.default_rng(4)

    def made(distance: np.ndarray) -> pl.DataFrame:
        value = random.normal(0, 1, distance.size)
        label = value + random.normal(0, 0.1 * distance)
        said = pl.DataFrame({"value": value}).to_struct()
        return pl.DataFrame({"km": distance, "output": said, "label": label}).with_columns(
            confidence=1.0, sample_key=pl.int_range(pl.len()), event_time=pl.int_range(pl.len())
        )

    closed, window = made(random.uniform(1, 30, 8_000)), made(random.uniform(15, 30, 8_000))
    found = expected_metrics(Task("regression"), closed, window.drop("label"), KM)
    truth, value = window["label"].to_numpy(), window["output"].struct.field("value").to_numpy()
    assert found == pytest.approx(value_metrics(truth, value, np.ones(truth.size)), rel=0.06)


def test_without_labels_of_both_kinds_nothing_is_promised() -> None:
    task, rows = Task("classification", "late"), scored(5, 400)
    assert expected_metrics(task, rows[:150], rows, []) == {}
    assert expected_metrics(task, rows.with_columns(label=pl.lit("late")), rows, []) == {}
    assert expected_metrics(task, rows, rows.clear(), []) == {}


def test_with_three_classes_the_accuracy_is_left_open() -> None:
    rows = scored(6, 900).with_columns(label=pl.when(pl.col("sample_key") < 50).then(pl.lit("lost")).otherwise("label"))
    assert set(expected_metrics(Task("classification", "late"), rows, rows, [])) == {
        "auc", "average_precision", "log_loss",
    }  # fmt: skip


def test_labels_that_are_no_numbers_are_no_labels() -> None:
    said = pl.DataFrame({"value": [1.0, 2.0, None, 4.0]}).to_struct()
    rows = pl.DataFrame({"output": said, "label": ["1.5", "soon", "3", "inf"], "age": [99.0] * 4})
    usable = Task("regression").usable(rows)
    assert usable["label"].to_list() == [1.5, None, None]
    assert Task("regression").beside_truth(usable[:1]).metrics(np.ones(1))["mae"] == 0.5
