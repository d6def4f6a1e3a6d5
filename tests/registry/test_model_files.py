from __future__ import annotations

import os
import pickle
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from flywheel.errors import TamperedModelError
from flywheel.lake.storage import StorageMap
from flywheel.records.encode import Encoding, Input
from flywheel.registry.store import Registry

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)


def register(registry: Registry, trained: Any, data: bytes | None = None) -> Path:
    registered = registry.register("flights", "p", "key", data or trained.data, trained.card, {}, AS_OF)
    return Path(registry.storage.resolve(f"{registry.root}/{registered.uri}").uri)


def test_every_algorithm_comes_back_with_the_same_predictions(registry, any_model):
    register(registry, any_model)
    loaded = registry.load("flights", 1)
    method = {"classification": "predict_proba", "regression": "predict", "anomaly": "score_samples"}
    ask = method[any_model.card.task]
    np.testing.assert_array_equal(
        getattr(loaded.model, ask)(any_model.matrix), getattr(any_model.model, ask)(any_model.matrix)
    )
    assert loaded.registered.card == any_model.card


def test_a_changed_file_is_refused_by_name(registry, classifier):
    file = register(registry, classifier)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(TamperedModelError) as refused:
        registry.load("flights", 1)
    assert file.name in str(refused.value)
    assert "flights version 1" in str(refused.value)
    assert "keeps serving" in refused.value.state


def test_a_lost_file_is_named(registry, classifier):
    file = register(registry, classifier)
    file.unlink()
    with pytest.raises(TamperedModelError, match=f"{file.name}: it is gone"):
        registry.load("flights", 1)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_in_disguise_is_not_run(registry, classifier, protocol, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register(registry, classifier, pickle.dumps(Evil(), protocol))
    with pytest.raises(TamperedModelError, match="not a skops file"):
        registry.load("flights", 1)
    assert not Path("pwned").exists()


def test_a_skops_file_that_would_call_a_function_is_not_run(registry, classifier, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    harmful = make_pipeline(FunctionTransformer(os.system), classifier.model)
    register(registry, classifier, skops.io.dumps(harmful))
    with pytest.raises(TamperedModelError, match=r"types that are not trusted.*system"):
        registry.load("flights", 1)


def test_a_file_that_takes_other_inputs_than_its_card_says_is_refused(registry, classifier):
    card = classifier.card.model_copy(update={"encoding": Encoding(inputs=[Input(feature="wind", kind="number")])})
    registry.register("flights", "p", "key", classifier.data, card, {}, AS_OF)
    with pytest.raises(TamperedModelError, match="takes 2 inputs, its card says 1"):
        registry.load("flights", 1)


def test_registering_heals_a_damaged_file(registry, classifier):
    file = register(registry, classifier)
    file.write_bytes(b"")
    registry.register("flights", "p", "another key", classifier.data, classifier.card, {}, AS_OF)
    assert registry.load("flights", 1).registered.version == 1


def test_a_lake_can_be_moved(registry, classifier, tmp_path):
    register(registry, classifier)
    shutil.move(tmp_path / "lake", tmp_path / "moved")
    moved = Registry(registry.database, StorageMap(base=tmp_path), "moved/models")
    assert moved.load("flights", 1).registered.version == 1
