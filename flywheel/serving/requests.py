"""A ModelInfer request to the matrix it carries, and the model's tensors to its response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import service_pb2 as pb

from flywheel.inference.tensors import Array, oip_type, read_tensors, to_raw
from flywheel.registry.version import RegisteredModel


def read_matrix(request: Any, registered: RegisteredModel) -> Array:
    """Return the matrix ``[n, width]`` of a request; ValueError says what is wrong with it."""
    if len(request.inputs) != 1 or request.inputs[0].datatype not in ("FP64", "FP32"):
        given = ", ".join(f"{tensor.name} {tensor.datatype}" for tensor in request.inputs) or "none"
        raise ValueError(f"expected one FP64 or FP32 tensor of shape [n, features], got {given}")
    matrix = next(iter(read_tensors(request.inputs, request.raw_input_contents).values()))
    columns = registered.card.encoding.columns
    if matrix.ndim != 2 or matrix.shape[1] != len(columns):
        raise ValueError(
            f"{registered} takes a tensor of shape [n, {len(columns)}], got {list(matrix.shape)}; "
            f"its columns: {', '.join(columns)}"
        )
    if matrix.shape[0] == 0:
        raise ValueError("the tensor has no rows")
    return matrix


def write_response(request: Any, registered: RegisteredModel, outputs: Mapping[str, Array]) -> Any:
    """Build the response with the outputs the request names, or all; ValueError when one is not there."""
    wanted = [tensor.name for tensor in request.outputs] or list(outputs)
    unknown = [name for name in wanted if name not in outputs]
    if unknown:
        raise ValueError(f"{registered} answers {', '.join(outputs)}, not {', '.join(unknown)}")
    response = pb.ModelInferResponse(
        model_name=registered.model_id, model_version=str(registered.version), id=request.id
    )
    for name in wanted:
        array = outputs[name]
        response.outputs.add(name=name, datatype=oip_type(array), shape=array.shape)
        response.raw_output_contents.append(to_raw(array))
    return response
