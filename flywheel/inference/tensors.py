"""Tensors of the Open Inference Protocol v2 as numpy arrays, without a Python object per value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NUMPY_TYPES = {
    "FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "BOOL": "?",
    "INT64": "<i8", "INT32": "<i4", "INT16": "<i2", "INT8": "<i1",
    "UINT64": "<u8", "UINT32": "<u4", "UINT16": "<u2", "UINT8": "<u1",
}  # fmt: skip
_OIP_TYPES = {np.dtype(code): name for name, code in NUMPY_TYPES.items()}


def oip_type(array: Array) -> str:
    """Return the protocol's name of an array's type.

    >>> oip_type(np.zeros(2)), oip_type(np.zeros(2, dtype=bool))
    ('FP64', 'BOOL')
    """
    return _OIP_TYPES[array.dtype]


def to_raw(array: Array) -> bytes:
    """Return the little-endian, row-major bytes of an array."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def from_raw(raw: bytes, datatype: str, shape: Sequence[int]) -> Array:
    """Return the (read-only) array in ``raw``; ValueError when type or size do not fit.

    >>> from_raw(to_raw(np.array([[1.0, 2.0]])), "FP64", [1, 2])
    array([[1., 2.]])
    >>> from_raw(b"12345678", "FP64", [1, 2])
    Traceback (most recent call last):
    ...
    ValueError: 8 bytes are not a FP64 tensor of shape [1, 2], which takes 16
    """
    dtype = _dtype_of(datatype)
    needed = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or len(raw) != needed:
        raise ValueError(f"{len(raw)} bytes are not a {datatype} tensor of shape {list(shape)}, which takes {needed}")
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


def read_tensors(tensors: Sequence[Any], raw: Sequence[bytes]) -> dict[str, Array]:
    """Return the tensors of a request or response by name, from raw contents or typed ones.

    Parameters
    ----------
    tensors
        ``inputs`` of a ModelInferRequest or ``outputs`` of a ModelInferResponse.
    raw
        Its ``raw_input_contents`` or ``raw_output_contents``: one for each tensor, or none at all.
    """
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise ValueError(f"a tensor is given twice: {', '.join(tensor.name for tensor in tensors)}")
    if not raw:
        return {tensor.name: _from_typed(tensor) for tensor in tensors}
    if len(raw) != len(tensors):
        raise ValueError(f"{len(raw)} raw contents for {len(tensors)} tensors")
    pairs = zip(tensors, raw, strict=True)
    return {tensor.name: from_raw(data, tensor.datatype, tensor.shape) for tensor, data in pairs}


def _from_typed(tensor: Any) -> Array:
    given = [values for _, values in tensor.contents.ListFields()]
    array = _as_array(given[0] if given else [], tensor)
    if array.size != math.prod(tensor.shape):
        raise ValueError(f"{array.size} values are not a tensor {tensor.name!r} of shape {list(tensor.shape)}")
    return array.reshape(tensor.shape)


def _as_array(values: Sequence[Any], tensor: Any) -> Array:
    dtype = _dtype_of(tensor.datatype)
    if tensor.contents.bytes_contents:
        raise ValueError(f"tensor {tensor.name!r} holds bytes, not values of type {tensor.datatype}")
    try:
        with np.errstate(over="ignore"):  # a float too large becomes infinite, which is judged later like any other
            return np.array(values, dtype=dtype)
    except OverflowError as error:
        raise ValueError(f"tensor {tensor.name!r} holds values that are no {tensor.datatype}: {error}") from None


def _dtype_of(datatype: str) -> np.dtype[Any]:
    if datatype not in NUMPY_TYPES:
        raise ValueError(f"tensors of type {datatype} are not supported; {', '.join(NUMPY_TYPES)} are")
    return np.dtype(NUMPY_TYPES[datatype])
