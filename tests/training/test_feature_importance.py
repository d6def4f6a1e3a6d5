"""What each feature is worth to a model: shuffling what it goes by costs it, shuffling the rest does not."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from flywheel.manifest.pipeline import Pipeline
from flywheel.training.fit import fit
from flywheel.training.importance import permutation_importance


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_only_what_the_label_goes_by_is_worth_something(
    task: str, make_pipeline: Callable[..., Pipeline], make_rows: Callable[..., pl.DataFrame]
) -> None:
    pipeline = make_pipeline(task, "hist_gradient_boosting", parameters={"max_iter": 30})
    assert pipeline.training is not None
    model = fit(make_rows(task, 1200), pipeline, pipeline.training)
    unseen = make_rows(task, 1200, seed=1)
    found = permutation_importance(model, unseen)
    assert set(found) == set(pipeline.inference.input_features)
    assert found["wind"] > 20 * max(found[name] for name in found if name != "wind")
    assert found["snow"] == 0, "it has no values at all"
    assert found == permutation_importance(model, unseen)


def test_of_an_anomaly_detector_it_is_not_known(
    make_pipeline: Callable[..., Pipeline], make_rows: Callable[..., pl.DataFrame]
) -> None:
    pipeline = make_pipeline("anomaly", "isolation_forest", parameters={"n_estimators": 10})
    assert pipeline.training is not None
    assert permutation_importance(fit(make_rows("anomaly"), pipeline, pipeline.training), make_rows("anomaly")) == {}
