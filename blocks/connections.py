"""One block type for each kind of document that stands beside a pipeline; ``flywheel apply`` saves them."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field

from flywheel.manifest.documents import ModelServerSpec, SinkSpec, SourceSpec, StorageSpec


class FlywheelSource(Block):
    """Where records or feedback events come from: a folder of files, a SQL query, or a Kafka topic."""

    _block_type_name = "Flywheel Source"
    _block_type_slug = "flywheel-source"
    _description = (
        "A folder of files that grows, a SQL query with a cursor, or a Kafka topic, that a Flywheel pipeline reads."
    )

    spec: SourceSpec = Field(title="Source")


class FlywheelSink(Block):
    """Where predictions are delivered to: a table, a webhook, the log."""

    _block_type_name = "Flywheel Sink"
    _block_type_slug = "flywheel-sink"
    _description = "A table, an Alertmanager webhook or the log that a Flywheel pipeline delivers predictions to."

    spec: SinkSpec = Field(title="Sink")


class FlywheelModelServer(Block):
    """The address behind the name of a model server."""

    _block_type_name = "Flywheel Model Server"
    _block_type_slug = "flywheel-model-server"
    _description = "An Open Inference Protocol v2 server, reached over gRPC."

    spec: ModelServerSpec = Field(title="Model server")


class FlywheelStorage(Block):
    """The folder or bucket behind a URI prefix."""

    _block_type_name = "Flywheel Storage"
    _block_type_slug = "flywheel-storage"
    _description = "Where the URIs that start with a prefix really are: a folder, or an S3 bucket with its credentials."

    spec: StorageSpec = Field(title="Storage")
