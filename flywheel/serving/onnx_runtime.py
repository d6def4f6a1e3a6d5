"""ONNX Runtime, as the model server and the comparison of a conversion use it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from flywheel.inference.tensors import Array


def missing_package(*names: str) -> str | None:
    """Return what to say if one of the packages is not installed."""
    absent = [name for name in names if find_spec(name) is None]
    return f"{absent[0]} is not installed: pip install 'flywheel-batch[onnx]'" if absent else None


def open_session(data: bytes) -> Any:
    """Return the session of an ONNX file; each call of it takes the caller's thread only.

    Raises
    ------
    Exception
        ONNX Runtime's own, of many kinds, if the file is none that it can run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Requests run side by side, as scikit-learn's do.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Memory that one large request took goes back.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def sums_of(session: Any, matrix: Array) -> Array:
    """Return the sums ``[n, targets]`` of a model's trees, of a file that ``flywheel.conversion.graph`` made."""
    sums: Array = session.run(["sums"], {"features": np.ascontiguousarray(matrix, dtype=np.float64)})[0]
    return sums


def has_form(session: Any, width: int) -> bool:
    """Whether a file takes and answers what such a file does."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    names = [tensor.name for tensor in (*inputs, *outputs)]
    return names == ["features", "sums"] and inputs[0].shape[1:] == [width] and len(outputs[0].shape) == 2
