"""The error for a topic that can't be read, and whether another attempt may help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flywheel.manifest.documents import KafkaSourceSpec
from flywheel.sources.base import SourceDownError, SourceError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError


def failed(spec: KafkaSourceSpec, error: KafkaError, complaints: Sequence[KafkaError] = ()) -> SourceError:
    """The error for a topic that can't be read: one that waits for a person if the broker refused us."""
    from confluent_kafka import KafkaError

    refused = refusal(complaints)
    first = refused or next(iter(complaints), error)
    said = f" ({first.str()})" if first.str() != error.str() else ""
    down = (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE)
    # A client that loses its broker also says that it knows no such partition, or that a handle was destroyed.
    passes = any(each.retriable() or each.code() in down for each in (error, *complaints))
    kind = SourceDownError if passes and refused is None else SourceError
    return kind(
        f"the Kafka topic {spec.topic!r} at {spec.bootstrap_servers} failed: {error.str()}{said}",
        state="nothing was read; a batch that was planned stays planned",
        next_step="check `security` in the Source document, and the account on the broker"
        if refused
        else "check that the broker runs, and `bootstrap_servers`, `topic` and `security` in the Source document",
    )


def refusal(complaints: Sequence[KafkaError]) -> KafkaError | None:
    """The first complaint that another attempt would get again: a wrong password, a certificate that is not good."""
    from confluent_kafka import KafkaError

    lasting = (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL)
    return next((each for each in complaints if each.code() in lasting), None)
