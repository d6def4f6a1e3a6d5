"""Who may ask the model server, over real connections with certificates of our own."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

from certificates import Authority

from flywheel.errors import AccessError, FlywheelError, InferenceError
from flywheel.inference.breaker import CircuitBreaker
from flywheel.inference.client import ModelClient
from flywheel.manifest.documents import ModelServerSpec
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig
from flywheel.manifest.inference import InferenceConfig
from flywheel.serving.server import ModelServer
from flywheel.serving.settings import ServerAccess

TOKEN = "correct-horse"


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def with_tls(authority) -> dict[str, object]:
    made = authority.sign("server")
    return {"model_server_certificate_file": made.file, "model_server_key_file": made.key_file}


@contextmanager
def serving(workshop, address: str = "127.0.0.1:0", **access) -> Iterator[ModelServer]:
    if workshop.registry.champion("flights") is None:
        workshop.promote(workshop.flights("first")[0])
    with ModelServer(workshop.registry, address, poll_seconds=0.05, access=ServerAccess(**access)) as server:
        yield server


def client_of(server: ModelServer, **spec) -> ModelClient:
    named = {"model_endpoint": "models:1", "model_id": "flights", "input_features": ["a"]}
    config = InferenceConfig.model_validate({**named, "timeout_ms": 5000})
    return ModelClient(server.address, config, ModelServerSpec(address=server.address, **spec))


def problem_of(server: ModelServer, **spec) -> AccessError:
    """What each way of asking says: the check before a batch, a request for a description, a batch."""
    problems = []
    for ask in (
        ModelClient.require_access,
        lambda client: client.info("flights"),
        lambda client: client.infer("flights", "", np.zeros((4, 3))),
    ):
        with client_of(server, **spec) as client, pytest.raises(AccessError) as refused:
            ask(client)
        problems.append(refused.value)
    assert len({str(problem) for problem in problems}) == 1
    assert "flywheel apply" in problems[0].next_step
    assert TOKEN not in str(problems[0])
    return problems[0]


def extensions(client: ModelClient) -> list[str]:
    return list(client._client.get_server_metadata().extensions)


def test_a_token_over_tls_gets_answers(workshop, authority, with_tls):
    with (
        serving(workshop, model_server_token=TOKEN, **with_tls) as server,
        client_of(server, tls=True, ca_file=str(authority.file), token=TOKEN) as client,
    ):
        client.require_access()
        (answer,) = client.infer("flights", "", workshop.matrix)
        assert answer.error is None
        assert answer.outputs["probabilities"].shape == (400, 2)
        assert "refused_requests:0" in extensions(client)


@pytest.mark.parametrize(("token", "why"), [(None, "carries no bearer token"), ("guessed", "is not one that is taken")])
def test_without_the_right_token_nothing_is_answered_and_it_is_counted(workshop, caplog, token, why):
    with caplog.at_level(logging.WARNING), serving(workshop, model_server_token=TOKEN) as server:
        problem = problem_of(server, token=token)
        assert why in problem.what
        assert "token" in problem.next_step
        with client_of(server, token=TOKEN) as client:
            assert "refused_requests:3" in extensions(client)
    assert "refused requests since the start: " in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer x{TOKEN}", "Bearer ~~~"],
)
def test_every_method_but_the_signs_of_life_wants_the_token(workshop, header):
    with serving(workshop, model_server_token=TOKEN) as server, InferenceServerClient(server.address) as client:
        headers = {"authorization": header}
        assert client.is_server_live()
        assert client.is_server_ready()
        tensor = InferInput("features", [400, 3], "FP64").set_data_from_numpy(workshop.matrix)
        calls = [
            lambda: client.get_server_metadata(headers=headers),
            lambda: client.is_model_ready("flights", headers=headers),
            lambda: client.get_model_metadata("flights", headers=headers),
            lambda: client.infer("flights", [tensor], headers=headers),
            lambda: client.get_model_repository_index(headers=headers),
            lambda: client.load_model("flights", headers=headers),
            lambda: client.unload_model("flights", headers=headers),
            lambda: client.get_inference_statistics("flights", headers=headers),  # not even what there is not
        ]
        for call in calls:
            with pytest.raises(InferenceServerException, match="bearer token") as refused:
                call()
            assert refused.value.status() == "StatusCode.UNAUTHENTICATED"
        assert server.refusals.total == len(calls)
        good = {"authorization": f"bearer {TOKEN}"}
        assert client.infer("flights", [tensor], headers=good).as_numpy("probabilities").shape == (400, 2)


def test_a_wrong_token_neither_opens_the_circuit_nor_closes_it(workshop):
    database = workshop.registry.database
    with serving(workshop, model_server_token=TOKEN) as server:
        breaker = CircuitBreaker(database, server.address, "flights", BreakerConfig(failure_threshold=1))
        with client_of(server, token="guessed") as client, pytest.raises(AccessError):
            client.infer("flights", "", workshop.matrix, gate=breaker)
        assert breaker.health().state == "closed"
        with client_of(server, token=TOKEN) as client:
            (answer,) = client.infer("flights", "", workshop.matrix, gate=breaker)
        assert answer.error is None


def test_a_certificate_that_is_not_trusted_is_named(workshop, authority, with_tls, tmp_path):
    other = Authority(tmp_path, "other")
    with serving(workshop, **with_tls) as server:
        assert "not trusted" in problem_of(server, tls=True, ca_file=str(other.file)).what
        assert "not trusted" in problem_of(server, tls=True).what
        stranger = problem_of(server, tls=True, ca_file=str(authority.file), server_name="models.internal")
        assert "models.internal" in stranger.what


def test_an_expired_certificate_is_named(workshop, authority):
    expired = authority.sign("server", life=timedelta(days=-1))
    files = {"model_server_certificate_file": expired.file, "model_server_key_file": expired.key_file}
    with serving(workshop, **files) as server:
        assert "expired" in problem_of(server, tls=True, ca_file=str(authority.file)).what


def test_tls_on_one_side_only_is_named(workshop, authority, with_tls):
    with serving(workshop, **with_tls) as server:
        problem = problem_of(server)
        assert "speaks TLS, and was asked in the clear" in problem.what
        assert "tls: true" in problem.next_step
    with serving(workshop) as server:
        assert "does not speak TLS" in problem_of(server, tls=True, ca_file=str(authority.file)).what


def test_clients_show_a_certificate_where_the_server_asks_for_one(workshop, authority, with_tls, tmp_path):
    stranger, known = Authority(tmp_path, "other").sign("stranger"), authority.sign("client")
    with serving(workshop, model_server_client_ca_file=authority.file, **with_tls) as server:
        trusting = {"tls": True, "ca_file": str(authority.file)}
        assert "did not take our certificate" in problem_of(server, **trusting).what
        wrong = {"certificate_file": str(stranger.file), "key_file": str(stranger.key_file)}
        assert "did not take our certificate" in problem_of(server, **trusting, **wrong).what
        right = {"certificate_file": str(known.file), "key_file": str(known.key_file)}
        with client_of(server, **trusting, **right) as client:
            assert client.info("flights").name == "flights"


def test_a_server_that_is_away_is_no_matter_of_access(workshop, authority):
    with serving(workshop) as server:
        pass
    for spec in ({}, {"tls": True, "ca_file": str(authority.file)}):
        with client_of(server, **spec) as client:
            client.require_access()
            (answer,) = client.infer("flights", "", workshop.matrix)
            assert "UNAVAILABLE" in answer.error
            with pytest.raises(InferenceError):
                client.info("flights")


def test_a_name_that_is_not_the_address_is_asked_for(workshop, authority):
    named = authority.sign("server", host="models.internal")
    files = {"model_server_certificate_file": named.file, "model_server_key_file": named.key_file}
    trusting = {"tls": True, "ca_file": str(authority.file)}
    with serving(workshop, **files) as server:
        assert "not trusted" in problem_of(server, **trusting).what
        with client_of(server, server_name="models.internal", **trusting) as client:
            assert client.info("flights").name == "flights"


def test_a_renewed_certificate_is_used_by_the_next_connection_and_no_request_fails(
    workshop, authority, with_tls, tmp_path, caplog
):
    trusting = {"tls": True, "ca_file": str(authority.file)}
    stopping = threading.Event()
    errors: list[str | None] = []
    with serving(workshop, **with_tls) as server, client_of(server, **trusting) as before:

        def ask() -> None:
            while not stopping.is_set():
                errors.extend(answer.error for answer in before.infer("flights", "", workshop.matrix))

        asking = threading.Thread(target=ask)
        asking.start()
        with_tls["model_server_certificate_file"].write_text("half a fi")
        with client_of(server, **trusting) as during:
            assert during.info("flights").name == "flights"
        assert "the old content stays in force" in caplog.text
        renewed = Authority(tmp_path, "renewed")
        renewed.sign("server")
        with client_of(server, tls=True, ca_file=str(renewed.file)) as after:
            assert after.info("flights").name == "flights"
        stopping.set()
        asking.join()
    assert errors
    assert set(errors) == {None}


def test_tokens_are_changed_one_after_the_other_while_the_server_runs(workshop, tmp_path):
    file = tmp_path / "tokens"
    file.write_text("old\n")
    with (
        serving(workshop, model_server_token_file=file) as server,
        client_of(server, token="old") as old,
        client_of(server, token="new") as new,
    ):
        assert old.info("flights").name == "flights"
        file.write_text("old\nnew\n")
        assert new.info("flights").name == "flights"
        assert old.info("flights").name == "flights"
        file.write_text("new\n\n")
        with pytest.raises(AccessError):
            old.info("flights")
        file.write_text("")
        assert new.info("flights").name == "flights"  # an empty file is a slip, and lets nobody in or out


@pytest.mark.parametrize(
    ("address", "access", "message"),
    [
        ("0.0.0.0:0", {"model_server_token": TOKEN}, "in the clear"),
        ("models.internal:1", {"model_server_token": TOKEN}, "in the clear"),
        ("127.0.0.1:0", {"model_server_certificate_file": "server.pem"}, "there is no key"),
        ("127.0.0.1:0", {"model_server_key_file": "server.key"}, "there is no certificate"),
        ("127.0.0.1:0", {"model_server_client_ca_file": "ca.pem"}, "without TLS"),
        ("127.0.0.1:0", {"model_server_token_file": "nothing"}, "No such file"),
        ("127.0.0.1:0", {"model_server_token_file": "empty"}, "has none"),
        ("127.0.0.1:0", {"model_server_certificate_file": "x", "model_server_key_file": "y"}, "No such file"),
    ],
)
def test_a_server_with_settings_that_are_unsafe_or_incomplete_does_not_start(
    workshop, tmp_path, monkeypatch, address, access, message
):
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text("\n")
    with pytest.raises(FlywheelError, match=message) as refused:
        ModelServer(workshop.registry, address, access=ServerAccess(**access))
    assert refused.value.state == "nothing is served"
    assert refused.value.next_step


def test_a_key_that_is_not_the_certificates_is_refused(workshop, authority, with_tls):
    with_tls["model_server_key_file"] = authority.sign("other").key_file
    with pytest.raises(FlywheelError, match="can't use the certificate"):
        ModelServer(workshop.registry, "127.0.0.1:0", access=ServerAccess(**with_tls))


def test_the_network_may_be_the_one_that_encrypts(workshop):
    with serving(workshop, "0.0.0.0:0", model_server_token=TOKEN, model_server_plain_token=True):
        pass


def test_settings_come_from_the_environment_and_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("flywheel.toml").write_text('model_server_token_file = "tokens"\nlake_uri = "elsewhere"\n')
    monkeypatch.setenv("FLYWHEEL_MODEL_SERVER_TOKEN", TOKEN)
    found = ServerAccess()
    assert found.model_server_token_file == Path("tokens")
    assert found.model_server_token.get_secret_value() == TOKEN
    assert TOKEN not in repr(found)
    assert found.summary == "no TLS, a token"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"address": "models:1", "token": "t"}, "not sent in the clear"),
        ({"address": "models:1", "ca_file": "ca.pem"}, "tls: true"),
        ({"address": "models:1", "tls": True, "key_file": "k.pem"}, "need each other"),
    ],
)
def test_a_document_that_is_unsafe_or_incomplete_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        ModelServerSpec(**spec)


@pytest.mark.parametrize("token", ["", " ", "two words", "zwölf", "tab\tbed", "new\nline"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_repeated(token):
    for make in (
        lambda: ModelServerSpec(address="127.0.0.1:1", token=token),
        lambda: ServerAccess(model_server_token=token),
    ):
        with pytest.raises(ValueError, match="without spaces") as refused:
            make()
        assert not token.strip() or token not in str(refused.value)
    assert ModelServerSpec(address="127.0.0.1:1", token=f"{TOKEN}\n").token.get_secret_value() == TOKEN


def test_a_file_that_is_not_there_is_named(workshop):
    with serving(workshop) as server, pytest.raises(AccessError, match=r"ca_file can't be read: missing\.pem"):
        client_of(server, tls=True, ca_file="missing.pem")
