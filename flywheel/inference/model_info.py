"""What a model server says about a model: its versions, the tensors it takes and those it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from flywheel.errors import InferenceError


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of a model; a dimension of -1 takes any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} {list(self.shape)}"


@dataclass(frozen=True)
class ModelInfo:
    """A model as its server describes it; some servers leave versions, inputs or outputs out."""

    name: str
    versions: list[str]
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]

    @classmethod
    def of(cls, response: Any) -> Self:
        """Read a ModelMetadataResponse."""
        return cls(response.name, list(response.versions), _infos(response.inputs), _infos(response.outputs))

    @property
    def input(self) -> TensorInfo:
        """The one tensor the model takes; a server that does not describe it (MLServer) takes any name.

        Raises
        ------
        InferenceError
            The model takes several tensors, or something else than FP64 or FP32.
        """
        if not self.inputs:
            return TensorInfo("predict", "FP64", (-1, -1))
        if len(self.inputs) > 1 or self.inputs[0].datatype not in ("FP64", "FP32"):
            raise InferenceError(
                f"model {self.name!r} takes {', '.join(map(str, self.inputs))}; Flywheel sends one FP64 or FP32 tensor "
                "of shape [rows, features]",
                state="nothing was sent to it",
                next_step="serve the model with one such input",
            )
        return self.inputs[0]


def _infos(tensors: Sequence[Any]) -> list[TensorInfo]:
    return [TensorInfo(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in tensors]
