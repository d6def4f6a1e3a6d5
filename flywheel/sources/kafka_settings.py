"""A Kafka source's document in the words of the client, librdkafka."""

from __future__ import annotations

from flywheel.manifest.documents import KafkaSourceSpec

_LARGEST_ANSWER = 1_000_000_000


def client_settings(spec: KafkaSourceSpec) -> dict[str, str | int | bool]:
    """Return the settings of a consumer that joins no group, and stops where an offset is not there."""
    security = spec.security
    secrets = {
        "sasl.password": security.sasl_password,
        "ssl.key.password": security.ssl_key_password,
    }
    plain = {
        "security.protocol": security.protocol,
        "sasl.mechanism": security.sasl_mechanism,
        "sasl.username": security.sasl_username,
        "ssl.ca.location": security.ssl_ca_location,
        "ssl.certificate.location": security.ssl_certificate_location,
        "ssl.key.location": security.ssl_key_location,
    }
    return {
        "bootstrap.servers": spec.bootstrap_servers,
        # The client wants a name; without subscribe() and commit() no group is joined or changed.
        "group.id": "flywheel",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
        # What is there now is wanted, not what may come: the broker need not wait.
        "fetch.wait.max.ms": 10,
        "receive.message.max.bytes": _LARGEST_ANSWER,
        "log_level": 0,
        **{name: value for name, value in plain.items() if value is not None},
        **{name: value.get_secret_value() for name, value in secrets.items() if value is not None},
    }
