"""Secrets in the documents beside a pipeline reach the runs, and are secrets to Prefect."""

from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client
from pydantic import BaseModel, TypeAdapter

from blocks import FlywheelModelServer, FlywheelSink, FlywheelSource, FlywheelStorage
from flywheel.manifest.documents import ModelServerSpec, SinkSpec, SourceSpec, StorageSpec

SECRET = "planted-in-a-block-0123456789"
KAFKA = {"type": "kafka", "bootstrap_servers": "b:9092", "topic": "t"}
SASL = {"protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": SECRET}
TLS = {"protocol": "SSL", "ssl_certificate_location": "c", "ssl_key_location": "k", "ssl_key_password": SECRET}
SQL = {"type": "sql", "url": f"sqlite:///{SECRET}", "query": "SELECT 1", "cursor": "id"}
SPECS = {
    "sql": (FlywheelSource, SourceSpec, SQL),
    "kafka": (FlywheelSource, SourceSpec, {**KAFKA, "security": SASL}),
    "kafka-tls": (FlywheelSource, SourceSpec, {**KAFKA, "security": TLS}),
    "webhook": (FlywheelSink, SinkSpec, {"type": "webhook", "url": "https://h", "token": SECRET}),
    "models": (FlywheelModelServer, ModelServerSpec, {"address": "h:1", "tls": True, "token": SECRET}),
    "bucket": (FlywheelStorage, StorageSpec, {"prefix": "a", "root": "s3://b", "secret_access_key": SECRET}),
}


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.usefixtures("prefect_server")
def test_a_secret_comes_back_and_is_hidden_from_others(name: str) -> None:
    kind, spec_type, fields = SPECS[name]
    spec: BaseModel = TypeAdapter(spec_type).validate_python(fields)
    kind(spec=spec).save(name, overwrite=True)
    assert kind.load(name).spec == spec
    with get_client(sync_client=True) as client:
        shown = client.read_block_document_by_name(name, kind.get_block_type_slug(), include_secrets=False)
    assert "spec" in shown.data
    assert SECRET not in shown.model_dump_json()
