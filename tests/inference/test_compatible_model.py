from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flywheel.errors import ModelMismatchError
from flywheel.inference.compatible import check_model, encoding_for
from flywheel.inference.model_info import ModelInfo, TensorInfo
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.encode import Encoding, Input
from flywheel.registry.card import ModelCard

TRAINING = {"task": "classification", "algorithm": "sgd", "target": "late"}


def card_of(*features: str, kind: str = "number", task: str = "classification") -> ModelCard:
    return ModelCard(
        task=task,
        algorithm="sgd",
        encoding=Encoding(inputs=[Input(feature=name, kind=kind) for name in features]),
        classes=["late", "on_time"],
        target="late",
        rows=1,
        as_of=datetime(2013, 2, 1, tzinfo=UTC),
        baseline_id="b1",
    )


def info_of(width: int, *outputs: str) -> ModelInfo:
    answers = [TensorInfo(name, "FP64", (-1, 2)) for name in outputs]
    return ModelInfo("flights", ["1"], [TensorInfo("features", "FP64", (-1, width))], answers)


def test_the_right_model_passes(pipeline_of):
    card = card_of("wind", "distance")
    for info in (None, info_of(2, "probabilities"), info_of(-1), ModelInfo("flights", [], [], [])):
        check_model(info, card, pipeline_of(TRAINING))


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (card_of("wind", "distance", "hour"), "the manifest lacks hour"),
        (card_of("wind"), "the model does not know distance"),
        (card_of("wind", "visibility"), "the manifest lacks visibility; the model does not know distance"),
        (card_of("distance", "wind"), "in another order; the model's is distance, wind"),
        (card_of("wind", "distance", kind="codes"), "another type .*: wind, distance"),
        (card_of("wind", "distance", task="regression"), "is a classification by its manifest, .* is a regression"),
    ],
)
def test_a_model_trained_on_something_else_is_named(pipeline_of, card, message):
    with pytest.raises(ModelMismatchError, match=message) as refused:
        check_model(None, card, pipeline_of(TRAINING))
    assert refused.value.state == "no batch was planned"


def test_a_target_that_is_no_class(pipeline_of):
    card = card_of("wind", "distance").model_copy(update={"target": None})
    with pytest.raises(ModelMismatchError, match=r"'lat' is none of them \(did you mean 'late'\?\)"):
        check_model(None, card, pipeline_of(TRAINING | {"target": "lat"}))


def test_a_server_with_another_width(pipeline_of):
    with pytest.raises(ModelMismatchError, match=r"takes features FP64 \[-1, 5\]; .* make 2 columns: wind, distance"):
        check_model(info_of(5), card_of("wind", "distance"), pipeline_of(TRAINING))


def test_a_server_with_several_inputs(pipeline_of):
    info = info_of(2)
    two = ModelInfo("flights", [], [*info.inputs, TensorInfo("image", "UINT8", (-1,))], [])
    with pytest.raises(ModelMismatchError, match="one FP64 or FP32 tensor"):
        check_model(two, card_of("wind", "distance"), pipeline_of(TRAINING))


def test_a_server_with_other_outputs(pipeline_of):
    with pytest.raises(ModelMismatchError, match=r"answers logits .*; the pipeline reads probabilities"):
        check_model(info_of(2, "logits"), card_of("wind", "distance"), pipeline_of(TRAINING))


def test_another_servers_model_needs_outputs(pipeline_of):
    with pytest.raises(ModelMismatchError, match="nothing says what 'flights' answers"):
        check_model(info_of(2), None, pipeline_of())
    outputs = {"late": {"tensor": "predict_proba", "index": 1}}
    check_model(info_of(2, "predict_proba"), None, pipeline_of(outputs=outputs))
    mixed = outputs | {"label": {"tensor": "predict_proba"}}
    with pytest.raises(ModelMismatchError, match="both as one value a row and by index"):
        check_model(info_of(2), None, pipeline_of(outputs=mixed))


def test_another_servers_model_needs_categories_that_the_manifest_names(pipeline_of):
    def with_origin(pipeline: Pipeline, **origin) -> Pipeline:
        document = pipeline.model_dump()
        feature = {"name": "wind", "source_field": "$.wind", "type": "category"} | origin
        document["spec"]["stages"][0]["config"]["features"][0] = feature
        return Pipeline.model_validate(document)

    pipeline = pipeline_of(outputs={"late": {"tensor": "predict"}})
    assert encoding_for(pipeline, None).columns == ["wind", "distance"]
    named = with_origin(pipeline, categories=["N", "S"])
    assert encoding_for(named, None).inputs[0].categories == ["N", "S"]
    with pytest.raises(ModelMismatchError, match="how to encode the categories of wind"):
        encoding_for(with_origin(pipeline), None)
