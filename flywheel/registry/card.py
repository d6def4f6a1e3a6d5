"""What is known about a model version beside its file: enough to serve it, check it and trace it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flywheel.records.encode import Encoding
from flywheel.training.correction import Correction


class OnnxFile(BaseModel):
    """A model's trees in the form that ONNX Runtime sums them from.

    Attributes
    ----------
    sha256
        What the file must hash to before it is loaded; its name is made of it.
    compared
        The rows on which its answers were found to be those of the model.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    compared: int


class ModelCard(BaseModel):
    """Stored with every model version.

    ``encoding`` turns logged features into the model's input matrix; ``classes`` are the labels in the order of the
    probabilities; ``target`` is the positive one. ``correction`` is what its answers were off by on the hold-out;
    ``importance`` what shuffling each feature cost there, where the manifest weighs drift by it. The model server
    answers from the file ``onnx``; ``onnx_refusal`` says why there is none.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    task: Literal["classification", "regression", "anomaly"]
    algorithm: str
    parameters: dict[str, float | int | str | bool | None] = Field(default_factory=dict)
    encoding: Encoding
    classes: list[str] = Field(default_factory=list)
    target: str | None = None
    rows: int
    trained_from: datetime | None = None
    trained_to: datetime | None = None
    as_of: datetime
    export_id: str | None = None
    baseline_id: str
    correction: Correction | None = None
    importance: dict[str, float] = Field(default_factory=dict)
    onnx: OnnxFile | None = None
    onnx_refusal: str = ""
