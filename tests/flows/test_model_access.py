"""A model server that asks who we are: the right token gets answers, with a wrong one nothing is planned or logged."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from parcels import NAME, Parcels, end_of, inference_of
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from state import metadata_of

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))

from certificates import Authority

import tasks.connect
from blocks import FlywheelModelServer, FlywheelSink
from flows.infer import infer
from flywheel.errors import AccessError
from flywheel.manifest.documents import ModelServerSpec, WebhookSinkSpec
from flywheel.serving.server import ModelServer
from flywheel.serving.settings import ServerAccess
from tasks.connect import connect


def reach(server: ModelServer, **spec: object) -> None:
    """Save the document of the model server."""
    made = ModelServerSpec.model_validate({"address": server.address, **spec})
    FlywheelModelServer(spec=made).save("model-server", overwrite=True)


def test_a_wrong_token_is_no_reason_for_a_fallback(parcels: Parcels) -> None:
    parcels.revise(lambda manifest: inference_of(manifest).update(fallback="return_null"))
    parcels.day(1, 200)
    access = ServerAccess(model_server_token="right")
    with ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=60, access=access) as server:
        for spec in ({"token": "wrong"}, {}, {"tls": True}):
            reach(server, **spec)
            with pytest.raises(AccessError) as refused:
                infer(NAME, as_of=end_of(1))
            assert "flywheel apply" in refused.value.next_step
        assert server.refusals.total == 2, "it was tried again"
        assert parcels.context.records.latest() is None
        assert parcels.table("predictions").is_empty()
        assert metadata_of(parcels)["batches"] == []
        reach(server, token="right")
        assert infer(NAME, as_of=end_of(1)).ok == 200


def test_a_document_of_an_earlier_flywheel_that_is_not_valid_any_more(
    parcels: Parcels, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left out by name, and its secrets are not told; who does not need it does not mind."""
    monkeypatch.setattr(tasks.connect, "get_logger", logging.getLogger)  # Prefect's own do not reach caplog
    FlywheelSink(spec=WebhookSinkSpec(type="webhook", url="http://h")).save("old", overwrite=True)
    with get_client(sync_client=True) as client:
        saved = client.read_block_document_by_name("old", "flywheel-sink")
        data = {"spec": {"type": "webhook", "url": "http://u:planted@h"}}
        client.update_block_document(saved.id, BlockDocumentUpdate(data=data, merge_existing_data=False))
        try:
            found = connect(NAME).connections
        finally:
            client.delete_block_document(saved.id)
    assert "old" not in found.sinks
    assert "left out block flywheel-sink/old: Value error, must not hold a user or a password" in caplog.text
    assert "planted" not in caplog.text


def test_tls_with_an_authority_beside_the_workspace(parcels: Parcels) -> None:
    parcels.day(1, 200)
    authority = Authority(parcels.root)
    made = authority.sign("server")
    access = ServerAccess(
        model_server_certificate_file=made.file, model_server_key_file=made.key_file, model_server_token="right"
    )
    with ModelServer(parcels.context.registry, "127.0.0.1:0", poll_seconds=60, access=access) as server:
        reach(server, tls=True, ca_file=authority.file.name, token="right")
        assert infer(NAME, as_of=end_of(1)).ok == 200
