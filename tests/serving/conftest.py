from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.linear_model import SGDRegressor
from tritonclient.grpc import InferenceServerClient

from flywheel.lake.storage import StorageMap
from flywheel.metadata.database import Database
from flywheel.records.encode import Encoding, Input
from flywheel.registry.card import ModelCard
from flywheel.registry.store import Registry
from flywheel.registry.version import RegisteredModel
from flywheel.serving.server import ModelServer

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
ENCODING = Encoding(
    inputs=[
        Input(feature="wind", kind="number"),
        Input(feature="distance", kind="number"),
        Input(feature="origin", kind="codes", categories=["EWR", "JFK"]),
    ]
)


@dataclass(frozen=True)
class Workshop:
    """Trains small models into a registry."""

    registry: Registry
    matrix: np.ndarray

    def flights(self, key: str, share: float = 0.5) -> tuple[RegisteredModel, Any]:
        late = self.matrix[:, 0] > np.quantile(self.matrix[:, 0], share)
        model = HistGradientBoostingClassifier(max_iter=5).fit(self.matrix, np.where(late, "late", "on_time"))
        return self._add("flights", "classification", "hist_gradient_boosting", key, model), model

    def metrics(self) -> tuple[RegisteredModel, Any]:
        model = IsolationForest(n_estimators=10, random_state=0).fit(self.matrix)
        return self._add("metrics", "anomaly", "isolation_forest", "first", model), model

    def delays(self) -> tuple[RegisteredModel, Any]:
        model = SGDRegressor().fit(self.matrix, self.matrix[:, 0])
        return self._add("delays", "regression", "sgd", "first", model), model

    def promote(self, registered: RegisteredModel) -> None:
        champion = self.registry.champion(registered.model_id)
        expected = champion.version if champion else None
        self.registry.promote(registered.model_id, registered.version, expected, "test", AS_OF)

    def file(self, registered: RegisteredModel) -> Path:
        return Path(self.registry.storage.resolve(f"{self.registry.root}/{registered.uri}").uri)

    def _add(self, model_id: str, task: Any, algorithm: str, key: str, model: Any) -> RegisteredModel:
        is_classifier = task == "classification"
        card = ModelCard(
            task=task,
            algorithm=algorithm,
            encoding=ENCODING,
            classes=["late", "on_time"] if is_classifier else [],
            target="late" if is_classifier else None,
            rows=len(self.matrix),
            as_of=AS_OF,
            baseline_id="b1",
        )
        return self.registry.register(model_id, "p", key, skops.io.dumps(model), card, {}, AS_OF)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    database = Database(f"sqlite:///{tmp_path}/flywheel.db")
    database.create()
    registry = Registry(database, StorageMap(base=tmp_path), "lake/models")
    return Workshop(registry, np.random.default_rng(0).normal(size=(400, 3)))


@pytest.fixture
def server(workshop: Workshop) -> Iterator[ModelServer]:
    with ModelServer(workshop.registry, "127.0.0.1:0", poll_seconds=0.05) as running:
        yield running


@pytest.fixture
def client(server: ModelServer) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(server.address) as connected:
        yield connected
