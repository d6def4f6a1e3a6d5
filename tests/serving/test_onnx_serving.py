"""A version with an ONNX form: it answers what the model answers, and the file is as safe as the model's own."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from flywheel.conversion.convert import convert
from flywheel.errors import TamperedModelError
from flywheel.records.encode import Encoding, Input
from flywheel.registry.card import ModelCard
from flywheel.registry.rollback import roll_back
from flywheel.registry.store import Registry, onnx_uri
from flywheel.registry.version import RegisteredModel
from flywheel.serving.scorers import EstimatorScorer, OnnxScorer, load_served

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
MATRIX = np.random.default_rng(0).normal(size=(400, 3))
NAMES = ["wind", "distance", "hour"]


def boosted(share: float = 0.5) -> Any:
    late = MATRIX[:, 0] > np.quantile(MATRIX[:, 0], share)
    return HistGradientBoostingClassifier(max_iter=5).fit(MATRIX, np.where(late, "late", "on_time"))


def register(registry: Registry, model: Any, algorithm: str = "hist_gradient_boosting", key: str = "1") -> Any:
    task = {"hist_gradient_boosting": "classification", "isolation_forest": "anomaly"}[algorithm]
    form = convert(model, task, MATRIX)
    assert form.file is not None
    card = ModelCard(
        task=task,
        algorithm=algorithm,
        encoding=Encoding(inputs=[Input(feature=name, kind="number") for name in NAMES]),
        classes=["late", "on_time"] if task == "classification" else [],
        target="late" if task == "classification" else None,
        rows=len(MATRIX),
        as_of=AS_OF,
        baseline_id="b1",
        onnx=form.file,
    )
    return registry.register("flights", "p", key, skops.io.dumps(model), card, {}, AS_OF, form.data)


def promote(registry: Registry, version: int, before: int | None = None) -> None:
    registry.promote("flights", version, before, "test", AS_OF)


def onnx_file(registry: Registry, registered: RegisteredModel) -> Path:
    assert registered.card.onnx is not None
    uri = onnx_uri(registered.model_id, registered.card.onnx.sha256)
    return Path(registry.storage.resolve(f"{registry.root}/{uri}").uri)


def ask(client: InferenceServerClient, matrix: np.ndarray, version: str = "") -> Any:
    tensor = InferInput("features", matrix.shape, "FP64").set_data_from_numpy(matrix)
    return client.infer("flights", [tensor], model_version=version)


@pytest.fixture
def registry(workshop: Any) -> Registry:
    return workshop.registry


@pytest.mark.parametrize(
    ("model", "algorithm", "output"),
    [
        (boosted(), "hist_gradient_boosting", "probabilities"),
        (IsolationForest(n_estimators=10, random_state=0).fit(MATRIX), "isolation_forest", "score"),
    ],
)
def test_the_server_answers_from_it_what_the_model_answers(registry, server, client, model, algorithm, output):
    registered = register(registry, model, algorithm)
    promote(registry, 1)
    rows = MATRIX.copy()
    rows[::3, 1] = np.nan
    found = ask(client, rows).as_numpy(output)
    expected = EstimatorScorer(model, registered.card.task).score(rows)[output]
    np.testing.assert_array_equal(found, expected)
    assert client.get_model_metadata("flights").platform == f"onnxruntime_{algorithm}"


def test_values_that_were_not_compared_are_scikit_learns_to_answer(registry):
    register(registry, boosted())
    scorer = load_served(registry, "flights", 1).scorer
    assert isinstance(scorer, OnnxScorer)
    rows = MATRIX.copy()
    rows[7, 2] = np.inf
    without_session = OnnxScorer(None, scorer.estimator)
    np.testing.assert_array_equal(without_session.score(rows)["probabilities"], boosted().predict_proba(rows))


FORGERIES = {
    "a byte changed": lambda good, other: good[:200] + bytes([good[200] ^ 1]) + good[201:],
    "half of it": lambda good, other: good[: len(good) // 2],
    "something after it": lambda good, other: good + b"\0",
    "another's": lambda good, other: other,
    "empty": lambda good, other: b"",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_form_is_refused_by_name_and_the_champion_keeps_serving(registry, server, client, forgery):
    register(registry, boosted())
    promote(registry, 1)
    assert ask(client, MATRIX).get_response().model_version == "1"
    second = register(registry, boosted(0.8), key="2")
    file = onnx_file(registry, second)
    good = file.read_bytes()
    file.write_bytes(FORGERIES[forgery](good, onnx_file(registry, registry.get("flights", 1)).read_bytes()))
    promote(registry, 2, 1)
    with pytest.raises(InferenceServerException) as refused:
        client.load_model("flights")
    assert refused.value.status() == "StatusCode.FAILED_PRECONDITION"
    assert file.name in refused.value.message()
    assert ask(client, MATRIX).get_response().model_version == "1"
    file.write_bytes(good)
    client.load_model("flights")
    answer = ask(client, MATRIX)
    assert answer.get_response().model_version == "2"
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), boosted(0.8).predict_proba(MATRIX))


@pytest.mark.parametrize("data", [b"", b"no ONNX at all", bytes(1000)])
def test_a_form_whose_hash_was_forged_too_is_refused_not_run(registry, data):
    from flywheel.registry.loading import digest

    registered = register(registry, boosted())
    card = registered.card.model_copy(update={"onnx": registered.card.onnx.model_copy(update={"sha256": digest(data)})})
    registry.register("flights", "p", "2", skops.io.dumps(boosted()), card, {}, AS_OF, data)
    with pytest.raises(TamperedModelError, match="ONNX Runtime can't run it"):
        load_served(registry, "flights", 2)


def test_a_form_of_another_width_is_refused(registry):
    narrow = HistGradientBoostingClassifier(max_iter=2).fit(MATRIX[:, :2], MATRIX[:, 0] > 0)
    form = convert(narrow, "classification", MATRIX[:, :2])
    registered = register(registry, boosted())
    card = registered.card.model_copy(update={"onnx": form.file})
    registry.register("flights", "p", "2", skops.io.dumps(boosted()), card, {}, AS_OF, form.data)
    with pytest.raises(TamperedModelError, match="the trees of a model of 3 columns"):
        load_served(registry, "flights", 2)


def test_a_lost_form_is_no_reason_not_to_serve(registry, server, client, caplog):
    onnx_file(registry, register(registry, boosted())).unlink()
    promote(registry, 1)
    with caplog.at_level(logging.WARNING, "flywheel.serving"):
        answer = ask(client, MATRIX)
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), boosted().predict_proba(MATRIX))
    assert "flights version 1 is served by scikit-learn: its ONNX file is gone" in caplog.text
    assert client.get_model_metadata("flights").platform == "sklearn_hist_gradient_boosting"


def test_without_the_extra_scikit_learn_serves(registry, monkeypatch, caplog):
    register(registry, boosted())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    served = load_served(registry, "flights", 1)
    assert not isinstance(served.scorer, OnnxScorer)
    assert served.scorer.runtime == "sklearn"
    assert "onnxruntime is not installed: pip install 'flywheel-batch[onnx]'" in caplog.text


def test_a_card_that_comes_without_its_form_loses_it(registry):
    """Else the model registered with a copied card would be answered for by the other's trees."""
    first = register(registry, boosted())
    other = registry.register("flights", "p", "2", skops.io.dumps(boosted(0.8)), first.card, {}, AS_OF)
    assert other.card.onnx is None
    assert isinstance(load_served(registry, "flights", 1).scorer, OnnxScorer)
    served = load_served(registry, "flights", 2).scorer
    np.testing.assert_array_equal(served.score(MATRIX)["probabilities"], boosted(0.8).predict_proba(MATRIX))


def test_no_way_back_to_a_version_whose_form_was_forged(registry):
    file = onnx_file(registry, register(registry, boosted()))
    register(registry, boosted(0.8), key="2")
    promote(registry, 1)
    promote(registry, 2, 1)
    file.write_bytes(b"forged")
    with pytest.raises(TamperedModelError, match=file.name):
        roll_back(registry, "flights", None, None, "worse", AS_OF)
    assert registry.champion("flights").version == 2


def test_requests_at_once_are_answered_each_by_itself(registry, server, client):
    """One session answers all threads."""
    from concurrent.futures import ThreadPoolExecutor

    model = boosted()
    register(registry, model)
    promote(registry, 1)
    parts = [MATRIX[start : start + 10] for start in range(0, 400, 10)] * 5
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda rows: ask(client, rows).as_numpy("probabilities"), parts))
    for rows, found in zip(parts, answers, strict=True):
        np.testing.assert_array_equal(found, model.predict_proba(rows))
