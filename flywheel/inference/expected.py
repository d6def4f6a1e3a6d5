"""What an answer must look like to be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.inference.tensors import Array


@dataclass(frozen=True)
class ExpectedTensor:
    """A tensor that an answer must hold.

    Parameters
    ----------
    columns
        None for one value a row (shape ``[n]`` or ``[n, 1]``), else the second dimension of shape ``[n, columns]``.
    exact
        False when there may be more columns.
    """

    name: str
    columns: int | None = None
    exact: bool = True

    @property
    def shape(self) -> str:
        """The shape in words, for errors.

        >>> ExpectedTensor("value").shape, ExpectedTensor("probabilities", 3).shape
        ('[n]', '[n, 3]')
        """
        if self.columns is None:
            return "[n]"
        return f"[n, {self.columns}{'' if self.exact else ' or more'}]"


def check_outputs(outputs: Mapping[str, Array], expected: Sequence[ExpectedTensor], rows: int) -> dict[str, Array]:
    """Return the expected tensors, or all when none is; ValueError says what can't be used.

    >>> check_outputs({"value": np.array([[1.0], [2.0]])}, [ExpectedTensor("value")], rows=2)
    {'value': array([1., 2.])}
    >>> check_outputs({"value": np.array([1.0, np.nan])}, [ExpectedTensor("value")], rows=2)
    Traceback (most recent call last):
    ...
    ValueError: tensor 'value' holds 1 NaN or infinite values
    """
    wanted = expected or [ExpectedTensor(name, _columns(array), exact=True) for name, array in outputs.items()]
    return {tensor.name: _checked(outputs, tensor, rows) for tensor in wanted}


def _columns(array: Array) -> int | None:
    return array.shape[1] if array.ndim > 1 else None


def _checked(outputs: Mapping[str, Array], expected: ExpectedTensor, rows: int) -> Array:
    if expected.name not in outputs:
        raise ValueError(f"there is no tensor {expected.name!r}, only {', '.join(outputs) or 'none'}")
    array = outputs[expected.name]
    if expected.columns is None and array.shape == (rows, 1):
        array = array.reshape(rows)
    if not _fits(array, expected, rows):
        raise ValueError(
            f"tensor {expected.name!r} has shape {list(array.shape)}, expected {expected.shape} for {rows} rows"
        )
    unusable = int(np.count_nonzero(~np.isfinite(array))) if array.dtype.kind == "f" else 0
    if unusable:
        raise ValueError(f"tensor {expected.name!r} holds {unusable} NaN or infinite values")
    return array


def _fits(array: Array, expected: ExpectedTensor, rows: int) -> bool:
    if expected.columns is None or array.ndim != 2:
        return expected.columns is None and array.shape == (rows,)
    wide_enough = array.shape[1] >= expected.columns if not expected.exact else array.shape[1] == expected.columns
    return bool(array.shape[0] == rows and wide_enough)
