"""The model server as any user of tritonclient sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import grpc
import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from flywheel.errors import DatabaseDownError, FlywheelError
from flywheel.serving.server import ModelServer


def features(matrix: np.ndarray, datatype: str = "FP64", name: str = "features") -> list[InferInput]:
    values = matrix.astype({"FP64": np.float64, "FP32": np.float32, "INT64": np.int64}[datatype])
    return [InferInput(name, values.shape, datatype).set_data_from_numpy(values)]


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def status_of(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(InferenceServerException) as failed:
        call()
    return failed.value.status().removeprefix("StatusCode."), failed.value.message()


def test_a_classifier_answers_probabilities(workshop, server, client):
    registered, model = workshop.flights("first")
    workshop.promote(registered)
    answer = client.infer("flights", features(workshop.matrix))
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), model.predict_proba(workshop.matrix))
    assert answer.get_response().model_version == "1"


def test_an_isolation_forest_answers_the_papers_score(workshop, server, client):
    registered, model = workshop.metrics()
    workshop.promote(registered)
    answer = client.infer("metrics", features(workshop.matrix), request_id="r-7")
    score = answer.as_numpy("score")
    np.testing.assert_array_equal(score, -model.score_samples(workshop.matrix))
    assert 0 < score.min() < score.max() <= 1
    np.testing.assert_array_equal(answer.as_numpy("is_anomaly"), model.predict(workshop.matrix) == -1)
    assert answer.get_response().id == "r-7"


def test_a_regression_answers_values(workshop, server, client):
    registered, model = workshop.delays()
    workshop.promote(registered)
    answer = client.infer("delays", features(workshop.matrix))
    np.testing.assert_array_equal(answer.as_numpy("value"), model.predict(workshop.matrix))


def test_what_the_server_says_of_itself_and_its_models(workshop, server, client):
    for registered, _ in (workshop.flights("a"), workshop.metrics(), workshop.delays()):
        workshop.promote(registered)
    workshop.flights("b")
    client.load_model("flights")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights")
    assert client.is_model_ready("flights", "2")
    assert not client.is_model_ready("flights", "3")
    assert not client.is_model_ready("unknown")
    assert "model_repository" in client.get_server_metadata().extensions
    flights = client.get_model_metadata("flights")
    assert list(flights.versions) == ["1", "2"]
    assert [(each.name, each.datatype, list(each.shape)) for each in flights.inputs] == [("features", "FP64", [-1, 3])]
    assert [(each.name, list(each.shape)) for each in flights.outputs] == [("probabilities", [-1, 2])]
    anomaly = client.get_model_metadata("metrics").outputs
    assert [(each.name, each.datatype) for each in anomaly] == [("score", "FP64"), ("is_anomaly", "BOOL")]


def test_every_registered_version_is_served_when_asked_for(workshop, server, client):
    first, old = workshop.flights("a", 0.3)
    second, new = workshop.flights("b", 0.8)
    workshop.promote(first)
    workshop.promote(second)
    wait_until(lambda: client.infer("flights", features(workshop.matrix)).get_response().model_version == "2")
    for version, model, used in (("1", old, "1"), ("2", new, "2"), ("", new, "2")):
        answer = client.infer("flights", features(workshop.matrix), version)
        np.testing.assert_array_equal(answer.as_numpy("probabilities"), model.predict_proba(workshop.matrix))
        assert answer.get_response().model_version == used


def test_more_versions_than_are_kept_are_loaded_again(workshop, server, client):
    versions = [workshop.flights(f"key-{number}")[0].version for number in range(10)]
    for version in [*versions, *versions]:
        assert client.infer("flights", features(workshop.matrix), str(version)).as_numpy("probabilities") is not None


@pytest.mark.parametrize(("datatype", "name"), [("FP32", "features"), ("FP64", "anything")])
def test_other_floats_and_input_names_are_taken(workshop, server, client, datatype, name):
    registered, model = workshop.flights("first")
    workshop.promote(registered)
    asked = workshop.matrix.astype(np.float32).astype(np.float64)
    answer = client.infer("flights", features(asked, datatype, name))
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), model.predict_proba(asked))


@pytest.mark.parametrize(("datatype", "field"), [("FP64", "fp64_contents"), ("FP32", "fp32_contents")])
def test_typed_contents_are_taken(workshop, server, datatype, field):
    registered, model = workshop.flights("first")
    workshop.promote(registered)
    rows = workshop.matrix[:5].astype(np.float32).astype(np.float64)
    request = service_pb2.ModelInferRequest(model_name="flights")
    tensor = request.inputs.add(name="features", datatype=datatype, shape=rows.shape)
    getattr(tensor.contents, field).extend(rows.ravel())
    with grpc.insecure_channel(server.address) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    found = np.frombuffer(answer.raw_output_contents[0]).reshape(5, 2)
    np.testing.assert_array_equal(found, model.predict_proba(rows))


def test_missing_values_reach_the_model(workshop, server, client):
    registered, model = workshop.flights("first")
    workshop.promote(registered)
    holes = workshop.matrix.copy()
    holes[::3, 0] = np.nan
    answer = client.infer("flights", features(holes))
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), model.predict_proba(holes))


def test_requests_that_cannot_be_answered_say_why(workshop, server, client):
    registered, _ = workshop.flights("first")
    workshop.promote(registered)
    matrix = workshop.matrix
    status, message = status_of(lambda: client.infer("flights", features(matrix[:, :2])))
    assert status == "INVALID_ARGUMENT"
    assert "[n, 3], got [400, 2]; its columns: wind, distance, origin" in message
    assert status_of(lambda: client.infer("flights", features(matrix, "INT64")))[0] == "INVALID_ARGUMENT"
    assert status_of(lambda: client.infer("flights", features(matrix) * 2))[0] == "INVALID_ARGUMENT"
    assert status_of(lambda: client.infer("flights", features(matrix[:0])))[0] == "INVALID_ARGUMENT"
    unknown_output = [InferRequestedOutput("score")]
    status, message = status_of(lambda: client.infer("flights", features(matrix), outputs=unknown_output))
    assert (status, "answers probabilities, not score" in message) == ("INVALID_ARGUMENT", True)
    status, message = status_of(lambda: client.infer("fligths", features(matrix)))
    assert (status, "did you mean 'flights'?" in message) == ("NOT_FOUND", True)
    assert status_of(lambda: client.infer("flights", features(matrix), "7"))[0] == "NOT_FOUND"
    assert status_of(lambda: client.infer("flights", features(matrix), "v1"))[0] == "NOT_FOUND"


def test_bytes_that_do_not_fill_the_shape_are_refused(workshop, server):
    registered, _ = workshop.flights("first")
    workshop.promote(registered)
    stub_of = service_pb2_grpc.GRPCInferenceServiceStub
    for shape, raw in (([2, 3], b"12345678"), ([-1, 3], b""), ([2**40, 2**40], b"")):
        request = service_pb2.ModelInferRequest(model_name="flights", raw_input_contents=[raw])
        request.inputs.add(name="features", datatype="FP64", shape=shape)
        with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as failed:
            stub_of(channel).ModelInfer(request)
        assert failed.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_model_without_a_champion_says_so(workshop, server, client):
    workshop.flights("first")
    status, message = status_of(lambda: client.infer("flights", features(workshop.matrix)))
    assert (status, "no champion yet" in message) == ("NOT_FOUND", True)


def test_the_index_tells_what_is_loaded(workshop, server, client):
    first, _ = workshop.flights("a")
    workshop.flights("b")
    workshop.promote(first)
    client.load_model("flights")
    listed = client.get_model_repository_index().models
    assert [(each.version, each.state, each.reason) for each in listed] == [
        ("1", "READY", "champion"),
        ("2", "UNAVAILABLE", "candidate; loaded when asked for"),
    ]


def test_an_unloaded_model_is_not_served_until_it_is_loaded(workshop, server, client):
    registered, _ = workshop.flights("a")
    workshop.promote(registered)
    client.load_model("flights")
    client.unload_model("flights")
    assert status_of(lambda: client.infer("flights", features(workshop.matrix)))[0] == "NOT_FOUND"
    assert status_of(lambda: client.infer("flights", features(workshop.matrix), "1"))[0] == "NOT_FOUND"
    time.sleep(0.2)  # several looks for champions later it still is
    assert not client.is_model_ready("flights")
    client.load_model("flights")
    assert client.infer("flights", features(workshop.matrix)).as_numpy("probabilities") is not None
    assert status_of(lambda: client.load_model("unknown"))[0] == "NOT_FOUND"
    assert status_of(lambda: client.unload_model("unknown"))[0] == "NOT_FOUND"


def test_promotions_under_load_fail_no_request(workshop, server):
    candidates = [workshop.flights(f"key-{number}", 0.1 * (number + 1)) for number in range(5)]
    truth = {str(each.version): model.predict_proba(workshop.matrix[:64]) for each, model in candidates}
    workshop.promote(candidates[0][0])
    stop = threading.Event()
    wrong: list[str] = []
    seen: list[str] = []

    def hammer() -> None:
        with InferenceServerClient(server.address) as client:
            while not stop.is_set():
                try:
                    answer = client.infer("flights", features(workshop.matrix[:64]))
                except InferenceServerException as error:
                    wrong.append(str(error))
                    continue
                version = answer.get_response().model_version
                seen.append(version)
                if not np.array_equal(answer.as_numpy("probabilities"), truth[version]):
                    wrong.append(f"version {version} answered what another one would")

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    with InferenceServerClient(server.address) as client:
        for number, (registered, _) in enumerate(candidates):
            workshop.promote(registered)
            if number % 2:
                client.load_model("flights")
            wait_until(lambda version=str(registered.version): version in seen[-20:])
            served = len(seen)
            wait_until(lambda served=served: len(seen) > served + 20)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_tampered_champion_is_refused_and_the_old_one_keeps_serving(workshop, server, client, caplog):
    first, old = workshop.flights("a", 0.3)
    second, new = workshop.flights("b", 0.8)
    workshop.promote(first)
    client.load_model("flights")
    good = workshop.file(second).read_bytes()
    workshop.file(second).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    workshop.promote(second)
    status, message = status_of(lambda: client.load_model("flights"))
    assert status == "FAILED_PRECONDITION"
    assert workshop.file(second).name in message
    assert workshop.file(second).name in caplog.text
    answer = client.infer("flights", features(workshop.matrix))
    assert answer.get_response().model_version == "1"
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), old.predict_proba(workshop.matrix))
    assert status_of(lambda: client.infer("flights", features(workshop.matrix), "2"))[0] == "FAILED_PRECONDITION"
    workshop.file(second).write_bytes(good)
    client.load_model("flights")
    answer = client.infer("flights", features(workshop.matrix))
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), new.predict_proba(workshop.matrix))


def test_a_tampered_model_does_not_keep_another_from_its_promotion(workshop, server, client):
    broken, _ = workshop.flights("a")
    workshop.file(broken).write_bytes(b"")
    workshop.promote(broken)
    fine, _ = workshop.metrics()
    workshop.promote(fine)
    assert client.infer("metrics", features(workshop.matrix)).as_numpy("score") is not None
    assert status_of(lambda: client.infer("flights", features(workshop.matrix)))[0] == "FAILED_PRECONDITION"


def test_a_lost_database_does_not_stop_the_server(workshop, server, client, tmp_path):
    registered, _ = workshop.flights("a")
    workshop.promote(registered)
    client.load_model("flights")
    workshop.registry.database.engine.dispose()
    (tmp_path / "flywheel.db").rename(tmp_path / "away.db")
    time.sleep(0.2)
    assert client.infer("flights", features(workshop.matrix)).as_numpy("probabilities") is not None


def test_a_database_that_restarts_is_not_needed_to_describe_a_model(workshop, server, client, monkeypatch):
    registered, _ = workshop.flights("a")
    workshop.promote(registered)
    client.load_model("flights")

    def away(*_: object) -> None:
        raise DatabaseDownError("it restarts")

    for asked in ("versions", "load"):
        monkeypatch.setattr(type(workshop.registry), asked, away)
    assert client.get_model_metadata("flights").versions == ["1"]
    other = status_of(lambda: client.infer("flights", features(workshop.matrix), model_version="7"))
    assert other == ("UNAVAILABLE", "it restarts")


def test_two_servers_do_not_share_an_address(workshop, server):
    with pytest.raises(FlywheelError, match=f"can't listen on {server.address}"):
        ModelServer(workshop.registry, server.address).start()
