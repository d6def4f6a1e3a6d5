"""Answers of a model server that is broken or means harm: an error of the chunk, never a traceback or a NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hostile import attack, names
from hypothesis import example, given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from flywheel.inference.answers import AnomalyAnswers, Answers, ClassificationAnswers, NamedAnswers, RegressionAnswers
from flywheel.inference.expected import check_outputs
from flywheel.inference.tensors import NUMPY_TYPES, read_tensors
from flywheel.manifest.inference import OutputField

ANSWERS: list[Answers] = [
    ClassificationAnswers(("late", "on_time"), "late"),
    AnomalyAnswers(),
    RegressionAnswers(),
    NamedAnswers({"score": OutputField(tensor="value"), "late": OutputField(tensor="probabilities", index=1)}),
]
ROWS = 3
datatypes = st.sampled_from([*NUMPY_TYPES, "BYTES", "", "fp64", "BF16"])
tensor_names = st.sampled_from(["probabilities", "score", "is_anomaly", "value"]) | names
sizes = st.sampled_from([0, 1, 2, ROWS, -1, 2**62, 2**63 - 1])
shapes = st.sampled_from([[ROWS], [ROWS, 1], [ROWS, 2]]) | st.lists(sizes, max_size=4) | st.just([1] * 70)


def judge(response: pb.ModelInferResponse) -> None:
    """Read an answer as the client does: either it is refused with a ValueError or it is a row of numbers each."""
    wire = pb.ModelInferResponse.FromString(response.SerializeToString())
    for answers in ANSWERS:
        try:
            outputs = read_tensors(wire.outputs, wire.raw_output_contents)
            checked = check_outputs(outputs, answers.expected, ROWS)
        except ValueError:
            continue
        else:
            fields = answers.fields(checked)
            assert fields.height == ROWS
            assert fields.schema == answers.schema
            assert all(np.isfinite(column.to_numpy()).all() for column in fields if column.dtype.is_float())


@st.composite
def raw_tensors(draw: st.DrawFn) -> tuple[str, str, list[int], bytes]:
    datatype, shape = draw(datatypes), draw(shapes)
    whole = max(0, min(200, int(np.prod([float(size) for size in shape])) * 8))
    cut = draw(st.sampled_from([whole, whole // 2, whole // 4, whole // 8, max(0, whole - 1), whole + 1, 0]))
    filler = draw(st.sampled_from([b"\x00", b"\xff", b"\x7f", b"\x01", b"\x00\x00\xc0\x7f"]))
    return draw(tensor_names), datatype, shape, (filler * (cut + 1))[:cut]


@given(st.lists(raw_tensors(), max_size=3), st.integers(0, 1))
@attack(200)
@example([("probabilities", "FP64", [ROWS, 2], b"\xff" * 48)], 0)
@example([("value", "FP16", [ROWS], b"\x00\x3c" * 3)], 0)
@example([("value", "FP64", [0, 2**62, 2**62], b"")], 0)
def test_any_raw_tensors(tensors: list[tuple[str, str, list[int], bytes]], missing: int) -> None:
    response = pb.ModelInferResponse()
    for name, datatype, shape, _ in tensors:
        response.outputs.add(name=name, datatype=datatype, shape=shape)
    response.raw_output_contents.extend(raw for *_, raw in tensors[missing:])
    judge(response)


CONTENTS = {
    "bool_contents": st.booleans(),
    "int_contents": st.integers(-(2**31), 2**31 - 1),
    "int64_contents": st.integers(-(2**63), 2**63 - 1),
    "uint_contents": st.integers(0, 2**32 - 1),
    "uint64_contents": st.integers(0, 2**64 - 1),
    "fp32_contents": st.floats(width=32),
    "fp64_contents": st.floats(),
    "bytes_contents": st.binary(max_size=4) | st.just(b"1.5"),
}


@given(tensor_names, datatypes, shapes, st.sampled_from(sorted(CONTENTS)), st.data())
@attack(200)
def test_any_typed_tensor(name: str, datatype: str, shape: list[int], field: str, data: st.DataObject) -> None:
    response = pb.ModelInferResponse()
    tensor = response.outputs.add(name=name, datatype=datatype, shape=shape)
    count = data.draw(st.sampled_from([0, 1, ROWS, 2 * ROWS]))
    getattr(tensor.contents, field).extend(data.draw(st.lists(CONTENTS[field], min_size=count, max_size=count)))
    judge(response)


@pytest.mark.parametrize(
    ("datatype", "field", "value"),
    [
        ("INT8", "int_contents", 300),
        ("UINT64", "int64_contents", -1),
        ("INT64", "fp64_contents", float("inf")),
        ("FP16", "fp32_contents", 1e38),
        ("FP32", "fp64_contents", 1e300),
        ("FP64", "bytes_contents", b"1.5"),
    ],
)
def test_values_that_do_not_fit_their_type_are_refused(datatype: str, field: str, value: object) -> None:
    response = pb.ModelInferResponse()
    tensor = response.outputs.add(name="value", datatype=datatype, shape=[1])
    getattr(tensor.contents, field).append(value)
    with pytest.raises(ValueError, match="value"):
        check_outputs(read_tensors(response.outputs, []), RegressionAnswers().expected, 1)


def test_a_tensor_given_twice_is_refused() -> None:
    response = pb.ModelInferResponse()
    for _ in range(2):
        response.outputs.add(name="value", datatype="FP64", shape=[1])
        response.raw_output_contents.append(np.ones(1).tobytes())
    with pytest.raises(ValueError, match="twice"):
        read_tensors(response.outputs, response.raw_output_contents)
