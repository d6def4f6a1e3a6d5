"""``flywheel serve-models`` refuses what is unsafe before it serves anything."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--token-file", "tokens"], "in the clear"),
        (["--token-file", "nothing", "--plain-token"], "can't read the file of tokens nothing"),
        (["--tls-certificate", "x.pem"], "there is no key"),
        (["--tls-client-ca", "x.pem"], "without TLS"),
    ],
)
def test_what_is_unsafe_or_incomplete_is_not_served(run, options: list[str], message: str) -> None:
    Path("tokens").write_text("a-token\n")
    answer = run("serve-models", "--address", "0.0.0.0:0", *options)
    assert answer.code == 1
    assert message in answer.err
    assert "state: nothing is served" in answer.err
    assert "next: " in answer.err


@pytest.mark.usefixtures("empty")
def test_a_token_from_the_environment(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_MODEL_SERVER_TOKEN", "a-token")
    assert "in the clear" in run("serve-models", "--address", "0.0.0.0:0").err
    monkeypatch.setenv("FLYWHEEL_MODEL_SERVER_TOKEN", "no token at all")
    answer = run("serve-models")
    assert "model_server_token: Value error, must be letters" in answer.err
    assert "at all" not in answer.err
