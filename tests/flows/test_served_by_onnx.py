"""A model that a retrain makes is served by ONNX Runtime, and what is logged is what the model answers."""

from __future__ import annotations

import numpy as np
from parcels import MODEL, NAME, Document, Parcels, end_of, known_after

from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.inference.client import ModelClient
from flywheel.records.encode import encode
from flywheel.serving.scoring import score


def boosted(document: Document) -> None:
    document["spec"]["training"] |= {"algorithm": "hist_gradient_boosting", "parameters": {"max_iter": 20}}
    document["spec"]["training"]["gate"] = {"min_gain": -1.0}


def test_a_retrained_model_is_served_by_onnx_runtime(parcels: Parcels) -> None:
    parcels.revise(boosted)
    parcels.day(1, 400)
    infer(NAME, as_of=end_of(1))
    join_feedback(NAME, as_of=known_after(1))
    assert retrain(NAME, as_of=known_after(1)).outcome == "promoted"
    registry = parcels.context.registry
    champion = registry.champion(MODEL)
    assert champion is not None
    assert champion.card.onnx is not None
    assert registry.read_onnx(champion)
    parcels.day(2, 400)
    assert infer(NAME, as_of=end_of(2)).ok == 400
    with ModelClient(parcels.address, parcels.context.pipeline.inference) as client:
        assert (
            client._client.get_model_metadata(MODEL, str(champion.version)).platform
            == "onnxruntime_hist_gradient_boosting"
        )
    rows = parcels.table("predictions").filter(model_version=champion.version)
    model = registry.load(MODEL, champion.version).model
    truth = score(model, champion.card.task, encode(rows, champion.card.encoding))["probabilities"]
    late = rows["prediction"].struct.field("score").to_numpy()
    np.testing.assert_array_equal(late, truth[:, champion.card.classes.index("late")])
    labels = np.array(champion.card.classes)[truth.argmax(axis=1)]
    assert rows["prediction"].struct.field("label").to_list() == labels.tolist()
