"""The documents beside a pipeline: Source, Sink, ModelServer, Storage and Training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from flywheel.manifest.fields import AwsBlock, Endpoint, Name, Spec, Token, Url, is_loopback
from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.training import TrainingConfig


class Metadata(Spec):
    name: Name
    namespace: Name = Field(default="default", description="Kept, and means nothing to Flywheel")
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Document(Spec):
    apiVersion: Literal["flywheel-ml.io/v1"]
    metadata: Metadata


class FilesSourceSpec(Spec):
    """A folder of files that grows. Files are read in the order of their names, rows in the order of the file."""

    type: Literal["files"]
    uri: str = Field(description="A folder, local or s3://")
    format: Literal["parquet", "csv", "ndjson"]
    event_time: JsonPath = Field(default=JsonPath("$.timestamp"), description="When it happened, in a record")
    received_at: JsonPath | None = Field(default=None, description="When the record became known; default: event_time")


class SqlSourceSpec(Spec):
    """Rows of a query, read once each by a cursor column that only grows."""

    type: Literal["sql"]
    url: SecretStr = Field(description="SQLAlchemy URL; ${NAME} is read from the environment")
    query: str = Field(min_length=1, description="A SELECT")
    cursor: str = Field(min_length=1, description="Column of the query that only grows: an id or a time")
    event_time: JsonPath = Field(default=JsonPath("$.timestamp"), description="When it happened, in a record")
    received_at: JsonPath | None = Field(default=None, description="When the record became known; default: event_time")


class KafkaSecurity(Spec):
    """How the client proves who it is, and the broker too; the names are Kafka's."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "SASL_SSL"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = Field(default=None, description="${NAME} is read from the environment")
    ssl_ca_location: str | None = Field(default=None, description="A PEM file; default: the system's authorities")
    ssl_certificate_location: str | None = Field(default=None, description="A PEM file, for a client certificate")
    ssl_key_location: str | None = Field(default=None, description="A PEM file, the certificate's key")
    ssl_key_password: SecretStr | None = None


class KafkaSourceSpec(Spec):
    """Messages of a topic, their values JSON objects; offsets are kept in the batch plan, never on the broker."""

    type: Literal["kafka"]
    bootstrap_servers: str = Field(min_length=1, description="host:port, several with commas between")
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", description="A topic; all its partitions are read")
    event_time: JsonPath = Field(default=JsonPath("$.timestamp"), description="When it happened, in a record")
    received_at: JsonPath | None = Field(default=None, description="When the record became known; default: event_time")
    start: Literal["earliest", "latest"] = Field(default="earliest", description="Where the first batch begins")
    on_truncation: Literal["fail", "skip"] = Field(
        default="fail", description="What to do when messages are gone before they were read"
    )
    security: KafkaSecurity = Field(default=KafkaSecurity(protocol="PLAINTEXT"), description="Default: none")
    timeout_seconds: float = Field(default=30, gt=0, description="How long to wait for the broker")


class TableSinkSpec(Spec):
    """Appends to a Delta table, exactly once, or writes one Parquet file a batch."""

    type: Literal["table"]
    uri: str = Field(description="A folder, local or s3://")
    format: Literal["delta", "parquet"] = "delta"


class WebhookSinkSpec(Spec):
    """Posts alerts in Alertmanager's v2 format; at least once."""

    type: Literal["webhook"]
    url: Url = Field(pattern=r"^https?://", description="a URL that starts with http:// or https://")
    token: Token = Field(default=None, description="Sent as a bearer token")
    labels: dict[str, str] = Field(default_factory=dict, description="Added to every alert")
    timeout_seconds: float = Field(default=10, gt=0)


class LogSinkSpec(Spec):
    """Writes one JSON line a row to the run's log, at most ``limit`` a batch."""

    type: Literal["log"]
    limit: int = Field(default=100, ge=1, description="Lines a batch")


SourceSpec = Annotated[FilesSourceSpec | SqlSourceSpec | KafkaSourceSpec, Field(discriminator="type")]
SinkSpec = Annotated[TableSinkSpec | WebhookSinkSpec | LogSinkSpec, Field(discriminator="type")]


class ModelServerSpec(Spec):
    """Where the server called ``NAME`` in a manifest's ``model_endpoint: NAME:PORT`` is reached."""

    address: Endpoint = Field(pattern=r"^[A-Za-z0-9._-]+:\d{1,5}$", description="host:port")
    tls: bool = Field(default=False, description="Whether the server speaks TLS")
    ca_file: str | None = Field(
        default=None, description="PEM file of the authority to trust; default: those that gRPC comes with"
    )
    server_name: str | None = Field(
        default=None, description="The name in the server's certificate, where it is not the address's host"
    )
    certificate_file: str | None = Field(default=None, description="PEM file, for a server that asks for a certificate")
    key_file: str | None = Field(default=None, description="PEM file, the certificate's key")
    token: Token = Field(default=None, description="Sent as a bearer token; write ${NAME}")
    plain_token: bool = Field(default=False, description="Send the token without TLS, inside an encrypted network")

    def from_folder(self, folder: Path) -> Self:
        """Return it with its files' paths absolute; relative ones start from ``folder``."""
        files = {name: getattr(self, name) for name in ("ca_file", "certificate_file", "key_file")}
        return self.model_copy(update={name: str(folder / file) for name, file in files.items() if file is not None})

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        of_tls = ("ca_file", "server_name", "certificate_file", "key_file")
        given = [name for name in of_tls if getattr(self, name) is not None]
        if given and not self.tls:
            raise ValueError(f"without `tls: true` there is no use for {', '.join(given)}")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file need each other")
        if self.token is not None and not (self.tls or self.plain_token or is_loopback(self.address)):
            raise ValueError("a token is not sent in the clear: give `tls: true`, or `plain_token: true` if you must")
        return self


class StorageSpec(Spec):
    """Where URIs that start with ``prefix`` really are: a folder, or a bucket with its credentials."""

    prefix: str = Field(min_length=1, description="A URI such as s3://bucket, or a folder")
    root: str = Field(description="A folder, or an s3:// URI")
    endpoint_url: Url | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    region: str | None = None
    timeout_seconds: float = Field(
        default=30, gt=0, description="How long a request to a bucket may take; it is repeated for four times as long"
    )
    block: AwsBlock | None = Field(
        default=None, description="A block of prefect-aws, in place of the endpoint, the keys and the region"
    )

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        said = [self.endpoint_url, self.access_key_id, self.secret_access_key, self.region]
        if self.block is not None and any(each is not None for each in said):
            raise ValueError("the block has the endpoint, the keys and the region: leave them out here")
        return self


class SourceDocument(Document):
    kind: Literal["Source"]
    spec: SourceSpec


class SinkDocument(Document):
    kind: Literal["Sink"]
    spec: SinkSpec


class ModelServerDocument(Document):
    kind: Literal["ModelServer"]
    spec: ModelServerSpec


class StorageDocument(Document):
    kind: Literal["Storage"]
    spec: StorageSpec


class TrainingDocument(Document):
    """The ``spec.training`` of the pipeline of the same name, for a manifest that must not be touched."""

    kind: Literal["Training"]
    spec: TrainingConfig
