from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parcels import MODEL, START, Document, Parcels, end_of, known_after
from plain import run

from flows.check_drift import check_drift
from flows.infer import infer
from flows.retrain import retrain
from flywheel.serving.server import ModelServer


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        ("hist_gradient_boosting", {"max_iter": 15}),
        ("hist_gradient_boosting", {"max_iter": 300}),
        ("random_forest", {"n_estimators": 50}),
        ("sgd", {}),
    ],
)
def test_an_ordinary_day_is_no_drift_whatever_the_algorithm(
    tmp_path: Path, algorithm: str, parameters: dict[str, Any]
) -> None:
    """Answers of few values, of a model fitted twice, and of one that knows its own rows by heart."""

    def edit(document: Document) -> None:
        document["spec"]["training"].update(algorithm=algorithm, parameters=parameters)

    parcels = Parcels(tmp_path / "w")
    parcels.make()
    parcels.workspace.database().create()
    parcels.revise(edit)
    run(retrain, parcels, START)
    parcels.day(1, 1_000)
    with ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=60) as server:
        run(infer, Parcels(parcels.root, server.address), end_of(1))
    found = run(check_drift, parcels, known_after(1))
    assert found.outcome == "no_drift", found.reason
    assert parcels.context.registry.champion(MODEL) is not None
