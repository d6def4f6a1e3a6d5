"""From a model's tensors to the prediction: the struct that the manifest names by ``output_field``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from flywheel.errors import ModelMismatchError, did_you_mean
from flywheel.inference.expected import ExpectedTensor
from flywheel.inference.tensors import Array
from flywheel.manifest.inference import OutputField
from flywheel.manifest.pipeline import Pipeline
from flywheel.registry.card import ModelCard


class Answers(Protocol):
    """One kind of answer: the tensors it takes and the fields that come out."""

    @property
    def expected(self) -> list[ExpectedTensor]: ...
    @property
    def schema(self) -> pl.Schema: ...
    def fields(self, outputs: Mapping[str, Array]) -> pl.DataFrame:
        """The prediction's fields, one row for each row of the (checked) tensors."""


@dataclass(frozen=True)
class ClassificationAnswers:
    """``label``: the class with the highest probability; ``score``: the probability of ``target``."""

    classes: tuple[str, ...]
    target: str

    @property
    def expected(self) -> list[ExpectedTensor]:
        return [ExpectedTensor("probabilities", len(self.classes))]

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({"label": pl.String(), "score": pl.Float64()})

    def fields(self, outputs: Mapping[str, Array]) -> pl.DataFrame:
        probabilities = outputs["probabilities"]
        labels = pl.Series(self.classes, dtype=pl.String).gather(probabilities.argmax(axis=1))
        score = probabilities[:, self.classes.index(self.target)]
        return pl.DataFrame({"label": labels, "score": score}, schema=self.schema)


@dataclass(frozen=True)
class AnomalyAnswers:
    """``score``: the anomaly score, in (0, 1], higher is stranger; ``is_anomaly``: whether the model says so."""

    @property
    def expected(self) -> list[ExpectedTensor]:
        return [ExpectedTensor("score"), ExpectedTensor("is_anomaly")]

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({"is_anomaly": pl.Boolean(), "score": pl.Float64()})

    def fields(self, outputs: Mapping[str, Array]) -> pl.DataFrame:
        return pl.DataFrame(
            {"is_anomaly": outputs["is_anomaly"].astype(bool), "score": outputs["score"]}, schema=self.schema
        )


@dataclass(frozen=True)
class RegressionAnswers:
    """``value``: the number that the model predicts."""

    @property
    def expected(self) -> list[ExpectedTensor]:
        return [ExpectedTensor("value")]

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({"value": pl.Float64()})

    def fields(self, outputs: Mapping[str, Array]) -> pl.DataFrame:
        return pl.DataFrame({"value": outputs["value"]}, schema=self.schema)


@dataclass(frozen=True)
class NamedAnswers:
    """The fields that the manifest's ``outputs`` takes from the tensors of another server, as Float64."""

    outputs: Mapping[str, OutputField]

    @property
    def expected(self) -> list[ExpectedTensor]:
        columns: dict[str, int | None] = {}
        for field in self.outputs.values():
            needed = None if field.index is None else field.index + 1
            columns[field.tensor] = max(filter(None, [columns.get(field.tensor), needed]), default=None)
        return [ExpectedTensor(tensor, count, exact=False) for tensor, count in columns.items()]

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema(dict.fromkeys(self.outputs, pl.Float64()))

    def fields(self, outputs: Mapping[str, Array]) -> pl.DataFrame:
        columns = {name: _column(outputs[field.tensor], field.index) for name, field in self.outputs.items()}
        return pl.DataFrame(columns, schema=self.schema)


def answers_for(pipeline: Pipeline, card: ModelCard | None) -> Answers:
    """Return how a pipeline reads its model's answers.

    The manifest's training says what kind of model it is, else its ``outputs``, else the model's card.

    Raises
    ------
    ModelMismatchError
        None of them does, or they contradict each other.
    """
    training, outputs = pipeline.training, pipeline.inference.outputs
    if training is None and outputs:
        return _named(outputs)
    if training is not None and card is not None and training.task != card.task:
        raise ModelMismatchError(
            f"{pipeline.name} is a {training.task} by its manifest, but its model is a {card.task}",
            state="no batch was planned",
            next_step=f"promote a model of the right kind: flywheel model list -p {pipeline.name}",
        )
    task = training.task if training is not None else card.task if card is not None else None
    if task == "anomaly":
        return AnomalyAnswers()
    if task == "regression":
        return RegressionAnswers()
    if task == "classification" and card is not None:
        return _classification(pipeline, card)
    raise ModelMismatchError(
        f"nothing says what {pipeline.inference.model_id!r} answers: it has no model card here",
        state="no batch was planned",
        next_step="write `outputs` in the ml-inference stage: which tensor holds which field of the prediction",
    )


def _classification(pipeline: Pipeline, card: ModelCard) -> ClassificationAnswers:
    target = card.target or pipeline.positive_label
    if target is None or target not in card.classes:
        raise ModelMismatchError(
            f"the model's classes are {', '.join(card.classes)}; the target {target!r} is none of them"
            f"{did_you_mean(target or '', card.classes)}",
            state="no batch was planned",
            next_step="name one of them as `training.target`",
        )
    return ClassificationAnswers(tuple(card.classes), target)


def _named(outputs: Mapping[str, OutputField]) -> NamedAnswers:
    whole = {field.tensor for field in outputs.values() if field.index is None}
    mixed = sorted(whole & {field.tensor for field in outputs.values() if field.index is not None})
    if mixed:
        raise ModelMismatchError(
            f"`outputs` takes tensor {', '.join(mixed)} both as one value a row and by index",
            state="no batch was planned",
            next_step="give every field of a two-dimensional tensor its `index`",
        )
    return NamedAnswers(outputs)


def _column(array: Array, index: int | None) -> Array:
    chosen = array if index is None else array[:, index]
    return chosen.astype("f8", copy=False)
