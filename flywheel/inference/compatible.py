"""Whether a model is the one that a manifest describes; looked at before any batch is planned."""

from __future__ import annotations

import polars as pl

from flywheel.errors import InferenceError, ModelMismatchError
from flywheel.inference.answers import answers_for
from flywheel.inference.model_info import ModelInfo
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import record_schema
from flywheel.records.encode import Encoding, learn_encoding
from flywheel.registry.card import ModelCard

_STATE = "no batch was planned"


def encoding_for(pipeline: Pipeline, card: ModelCard | None) -> Encoding:
    """Return how features become the model's input: by its card, or for another server's model by the manifest.

    Raises
    ------
    ModelMismatchError
        There is no card, and a category does not say which values it can have.
    """
    if card is not None:
        return card.encoding
    encoding = learn_encoding(pipeline.input_features, pl.DataFrame(schema=record_schema(pipeline)))
    unknown = [item.feature for item in encoding.inputs if item.kind == "codes" and not item.categories]
    if unknown:
        raise ModelMismatchError(
            f"{pipeline.inference.model_id!r} has no model card here, so that nothing says how to encode the "
            f"categories of {', '.join(unknown)}",
            state=_STATE,
            next_step="give these features `categories` or a `one_hot` transform",
        )
    return encoding


def check_model(info: ModelInfo | None, card: ModelCard | None, pipeline: Pipeline) -> None:
    """Raise ModelMismatchError unless the model takes what the manifest gives it and answers what it reads.

    Parameters
    ----------
    info
        What the server says, or None while it does not answer: then only the card is looked at.
    card
        The registered version's card, or None for a model that is not from this registry.
    """
    if card is not None:
        _check_features(card.encoding, pipeline)
    answers = answers_for(pipeline, card)
    encoding = encoding_for(pipeline, card)
    if info is None:
        return
    _check_width(info, encoding, pipeline)
    answered = [tensor.name for tensor in info.outputs]
    absent = [tensor.name for tensor in answers.expected if answered and tensor.name not in answered]
    if absent:
        raise ModelMismatchError(
            f"{info.name} at {pipeline.inference.model_endpoint} answers {', '.join(map(str, info.outputs))}; "
            f"the pipeline reads {', '.join(absent)}",
            state=_STATE,
            next_step="say in the manifest's `outputs` which tensor holds which field",
        )


def _check_features(encoding: Encoding, pipeline: Pipeline) -> None:
    given = {feature.name: feature.type == "category" for feature in pipeline.input_features}
    if encoding.features != list(given):
        raise ModelMismatchError(
            f"the model takes other features than the manifest gives it: {_difference(encoding.features, list(given))}",
            state=_STATE,
            next_step="make `input_features` those of the model, or train a model on these: flywheel run retrain",
        )
    changed = [item.feature for item in encoding.inputs if (item.kind != "number") != given[item.feature]]
    if changed:
        raise ModelMismatchError(
            f"the model was trained when these had another type (category or number): {', '.join(changed)}",
            state=_STATE,
            next_step="give them their type back, or train a model on the new one: flywheel run retrain",
        )


def _difference(model: list[str], manifest: list[str]) -> str:
    missing = [name for name in model if name not in manifest]
    extra = [name for name in manifest if name not in model]
    if missing or extra:
        parts = [("the manifest lacks ", missing), ("the model does not know ", extra)]
        return "; ".join(text + ", ".join(names) for text, names in parts if names)
    return f"the same ones in another order; the model's is {', '.join(model)}"


def _check_width(info: ModelInfo, encoding: Encoding, pipeline: Pipeline) -> None:
    try:
        tensor = info.input
    except InferenceError as error:
        raise ModelMismatchError(error.what, state=_STATE, next_step=error.next_step) from error
    # Some servers leave the dimension of the rows out of the shape; the last one is the width either way.
    width = tensor.shape[-1] if tensor.shape else -1
    if width not in (-1, encoding.width):
        raise ModelMismatchError(
            f"{info.name} at {pipeline.inference.model_endpoint} takes {tensor}; the manifest's features make "
            f"{encoding.width} columns: {', '.join(encoding.columns)}",
            state=_STATE,
            next_step="make `input_features` those of the model",
        )
