from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from flywheel.lake.storage import StorageMap
from flywheel.metadata.database import Database
from flywheel.records.encode import Encoding, Input
from flywheel.registry.card import ModelCard
from flywheel.registry.store import Registry

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
ESTIMATORS: dict[tuple[str, str], Callable[[], Any]] = {
    ("classification", "hist_gradient_boosting"): lambda: HistGradientBoostingClassifier(max_iter=5),
    ("classification", "random_forest"): lambda: RandomForestClassifier(5),
    ("classification", "sgd"): lambda: make_pipeline(SimpleImputer(), StandardScaler(), SGDClassifier(loss="log_loss")),
    ("regression", "hist_gradient_boosting"): lambda: HistGradientBoostingRegressor(max_iter=5),
    ("regression", "random_forest"): lambda: RandomForestRegressor(5),
    ("regression", "sgd"): lambda: make_pipeline(SimpleImputer(), StandardScaler(), SGDRegressor()),
    ("anomaly", "isolation_forest"): lambda: IsolationForest(n_estimators=5),
}


@dataclass(frozen=True)
class Trained:
    model: Any
    data: bytes
    card: ModelCard
    matrix: np.ndarray


def train(task: str, algorithm: str, seed: int = 0) -> Trained:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(300, 2))
    labels = {
        "classification": np.where(matrix[:, 0] > 0, "late", "on_time"),
        "regression": matrix[:, 0] * 2,
        "anomaly": None,
    }[task]
    model = ESTIMATORS[task, algorithm]().fit(matrix, labels)
    card = ModelCard(
        task=task,
        algorithm=algorithm,
        encoding=Encoding(inputs=[Input(feature="wind", kind="number"), Input(feature="distance", kind="number")]),
        classes=["late", "on_time"] if task == "classification" else [],
        target="late" if task == "classification" else None,
        rows=300,
        as_of=AS_OF,
        baseline_id="b1",
    )
    return Trained(model, skops.io.dumps(model), card, matrix)


@pytest.fixture(scope="session", params=list(ESTIMATORS), ids="-".join)
def any_model(request: pytest.FixtureRequest) -> Trained:
    return train(*request.param)


@pytest.fixture(scope="session")
def classifier() -> Trained:
    return train("classification", "hist_gradient_boosting")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    database = Database(f"sqlite:///{tmp_path}/flywheel.db")
    database.create()
    return Registry(database, StorageMap(base=tmp_path), "lake/models")
