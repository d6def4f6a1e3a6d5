from __future__ import annotations

import socket
import threading
import time

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from flywheel.errors import InferenceError
from flywheel.inference.breaker import CircuitBreaker
from flywheel.inference.client import ModelClient
from flywheel.inference.expected import ExpectedTensor
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig
from flywheel.manifest.inference import InferenceConfig

EXPECTED = [ExpectedTensor("probabilities", 2)]
MATRIX = np.random.default_rng(0).random((1000, 2))


def client_of(address: str, **config) -> ModelClient:
    named = {"model_endpoint": "models:1", "model_id": "flights", "input_features": ["wind", "distance"]}
    return ModelClient(address, InferenceConfig.model_validate(named | {"timeout_ms": 5000, "batch_size": 64} | config))


def errors_of(address: str, matrix=MATRIX[:10], expected=EXPECTED, **config) -> list[str]:
    with client_of(address, **config) as client:
        results = client.infer("flights", "", matrix, expected)
    assert all((result.outputs is None) == (result.error is not None) for result in results)
    return [result.error for result in results if result.error]


def free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_matrix_is_sent_in_chunks_and_comes_back_in_order(fake):
    with client_of(fake.address) as client:
        results = client.infer("flights", "7", MATRIX, EXPECTED)
    assert [(result.start, result.stop) for result in results] == [(n, min(n + 64, 1000)) for n in range(0, 1000, 64)]
    found = np.concatenate([result.outputs["probabilities"] for result in results])
    np.testing.assert_array_equal(found[:, 0], MATRIX[:, 0])
    request = fake.requests[0]
    assert (request.model_version, request.inputs[0].name, request.outputs[0].name) == ("7", "x", "probabilities")


def test_an_empty_matrix_asks_nothing(fake):
    with client_of(fake.address) as client:
        assert client.infer("flights", "", MATRIX[:0]) == []
    assert fake.requests == []


def test_so_many_requests_are_in_flight_and_no_more(fake, tensors):
    fake.answer = lambda matrix, context: (time.sleep(0.02), tensors.probabilities(matrix, context))[1]
    assert errors_of(fake.address, MATRIX, batch_size=50, max_in_flight=3) == []
    assert fake.most_in_flight == 3


def test_single_precision_is_sent_where_the_server_takes_that(fake):
    fake.metadata.inputs[0].datatype = "FP32"
    with client_of(fake.address) as client:
        (result,) = client.infer("flights", "", MATRIX[:5], EXPECTED)
    assert fake.requests[0].inputs[0].datatype == "FP32"
    np.testing.assert_allclose(result.outputs["probabilities"][:, 0], MATRIX[:5, 0], rtol=1e-6)


def test_a_server_that_does_not_describe_its_input_is_sent_predict(fake):
    del fake.metadata.inputs[:]
    assert errors_of(fake.address) == []
    assert fake.requests[0].inputs[0].name == "predict"


def test_typed_contents_are_read(fake):
    def answer(matrix, context):
        response = pb.ModelInferResponse()
        tensor = response.outputs.add(name="value", datatype="FP64", shape=[len(matrix), 1])
        tensor.contents.fp64_contents.extend(matrix[:, 0])
        return response

    fake.answer = answer
    with client_of(fake.address) as client:
        (result,) = client.infer("flights", "", MATRIX[:10], [ExpectedTensor("value")])
    np.testing.assert_array_equal(result.outputs["value"], MATRIX[:10, 0])


def test_a_model_with_other_inputs_is_refused(fake):
    fake.metadata.inputs.add(name="image", datatype="UINT8", shape=[-1, 28])
    with client_of(fake.address) as client, pytest.raises(InferenceError, match=r"takes x FP64 \[-1, 2\], image UINT8"):
        _ = client.info("flights").input
    (error,) = errors_of(fake.address)
    assert "one FP64 or FP32 tensor" in error


def test_a_slow_answer_is_an_error_at_the_deadline(fake, tensors):
    released = threading.Event()
    fake.answer = lambda matrix, context: (released.wait(10), tensors.probabilities(matrix, context))[1]
    started = time.monotonic()
    (error,) = errors_of(fake.address, timeout_ms=150)
    assert time.monotonic() - started < 5
    assert error.startswith("DEADLINE_EXCEEDED")
    released.set()


def test_no_server_is_an_error(fake):
    address = free_address()
    (error,) = errors_of(address, max_retries=0)
    assert "UNAVAILABLE" in error
    assert address in error
    with client_of(address) as client, pytest.raises(InferenceError, match="did not describe model 'flights'"):
        client.info("flights")


@pytest.mark.parametrize(("retries", "failed"), [(0, True), (1, True), (2, False)])
def test_an_unavailable_server_is_asked_again(fake, tensors, retries, failed):
    def answer(matrix, context):
        if len(fake.requests) <= 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        return tensors.probabilities(matrix, context)

    fake.answer = answer
    assert bool(errors_of(fake.address, max_retries=retries)) == failed
    assert len(fake.requests) == retries + 1


def test_a_large_request_is_asked_again_too(fake, tensors):
    def answer(matrix, context):
        if len(fake.requests) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        return tensors.probabilities(matrix, context)

    fake.answer = answer
    assert errors_of(fake.address, np.tile(MATRIX, (100, 1)), batch_size=100_000, max_retries=1) == []
    assert len(fake.requests) == 2


def test_other_errors_are_not_asked_again(fake):
    fake.answer = lambda matrix, context: context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such column")
    assert errors_of(fake.address, max_retries=4) == ["INVALID_ARGUMENT: no such column"]
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (np.full((10, 2), np.nan), "'probabilities' holds 20 NaN or infinite values"),
        (np.full((10, 2), np.inf), "holds 20 NaN"),
        (np.zeros((9, 2)), "'probabilities' has shape [9, 2], expected [n, 2] for 10 rows"),
        (np.zeros((10, 3)), "has shape [10, 3]"),
        (np.zeros(20), "has shape [20]"),
        (np.zeros((10, 1)), "has shape [10, 1]"),
    ],
)
def test_unusable_answers_are_errors(fake, tensors, tensor, message):
    fake.answer = lambda matrix, context: tensors.response(probabilities=tensor)
    (error,) = errors_of(fake.address)
    assert error.startswith("unusable answer")
    assert message in error


def test_an_answer_without_the_tensor_is_an_error(fake, tensors):
    fake.answer = lambda matrix, context: tensors.response(score=np.zeros(10))
    assert errors_of(fake.address) == ["unusable answer: there is no tensor 'probabilities', only score"]


def test_an_answer_whose_bytes_do_not_fill_its_shape_is_an_error(fake, tensors):
    def answer(matrix, context):
        response = tensors.probabilities(matrix, context)
        response.raw_output_contents[0] = response.raw_output_contents[0][:-8]
        return response

    fake.answer = answer
    (error,) = errors_of(fake.address)
    assert "152 bytes are not a FP64 tensor of shape [10, 2]" in error


def test_one_bad_chunk_leaves_the_others(fake, tensors):
    def answer(matrix, context):
        if MATRIX[64, 0] in matrix[:, 0]:
            context.abort(grpc.StatusCode.INTERNAL, "out of memory")
        return tensors.probabilities(matrix, context)

    fake.answer = answer
    with client_of(fake.address) as client:
        results = client.infer("flights", "", MATRIX, EXPECTED)
    assert [result.start for result in results if result.error] == [64]


def test_a_broken_server_is_left_alone_after_so_many_failures(fake, database):
    fake.answer = lambda matrix, context: context.abort(grpc.StatusCode.INTERNAL, "broken")
    breaker = CircuitBreaker(database, fake.address, "flights", BreakerConfig(failure_threshold=3))
    with client_of(fake.address, max_in_flight=2) as client:
        results = client.infer("flights", "", MATRIX, EXPECTED, breaker)
        assert len(fake.requests) <= 4
        assert [result.error for result in results[:3]] == ["INTERNAL: broken"] * 3
        assert "the circuit to" in results[-1].error
        again = client.infer("flights", "", MATRIX, EXPECTED, breaker)
    assert all("not sent" in result.error for result in again)
    assert len(fake.requests) <= 4


def test_a_dead_server_is_left_alone_too(database):
    address = free_address()
    breaker = CircuitBreaker(database, address, "flights", BreakerConfig(failure_threshold=2))
    with client_of(address, max_retries=0, max_in_flight=1) as client:
        results = client.infer("flights", "", MATRIX, EXPECTED, breaker)
    assert ["UNAVAILABLE" in result.error and "not sent" not in result.error for result in results[:2]] == [True, True]
    assert all("not sent" in result.error for result in results[2:])


def test_a_recovered_server_is_probed_once_and_then_gets_everything(fake, database, tensors):
    config = BreakerConfig(failure_threshold=1, reset_timeout_seconds=0.2)
    breaker = CircuitBreaker(database, fake.address, "flights", config)
    breaker.failure("UNAVAILABLE")
    time.sleep(0.2)
    first_done_with: list[int] = []

    def answer(matrix, context):
        if matrix[0, 0] == MATRIX[0, 0]:
            time.sleep(0.1)
            first_done_with.append(len(fake.requests))
        return tensors.probabilities(matrix, context)

    fake.answer = answer
    with client_of(fake.address) as client:
        results = client.infer("flights", "", MATRIX, EXPECTED, breaker)
    assert [result.error for result in results] == [None] * 16
    assert first_done_with == [1]
    assert breaker.health().state == "closed"
