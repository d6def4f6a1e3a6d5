"""Everything a step of the loop needs to know about its pipeline, opened once and passed along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from flywheel.errors import FlywheelError, not_found

if TYPE_CHECKING:
    # Whoever deploys or starts a flow imports this; Polars, DuckDB and SQLAlchemy come with the first pipeline opened.
    from flywheel.lake.storage import Location, StorageMap
    from flywheel.lake.tables import PipelineTables
    from flywheel.manifest.documents import ModelServerSpec, SinkSpec, SourceSpec, StorageSpec
    from flywheel.manifest.pipeline import Pipeline
    from flywheel.metadata.database import Database
    from flywheel.metadata.ledger import InferencePlan, JoinPlan, Ledger
    from flywheel.registry.store import Registry
    from flywheel.workspace import Workspace


@dataclass(frozen=True)
class Connections:
    """What the names in a manifest stand for, secrets included."""

    sources: Mapping[str, SourceSpec] = field(default_factory=dict, repr=False)
    sinks: Mapping[str, SinkSpec] = field(default_factory=dict, repr=False)
    model_servers: Mapping[str, ModelServerSpec] = field(default_factory=dict, repr=False)
    storages: tuple[StorageSpec, ...] = field(default=(), repr=False)

    def source(self, name: str) -> SourceSpec:
        if name not in self.sources:
            raise not_found("source", name, self.sources, next_step="apply a document of kind Source with this name")
        return self.sources[name]

    def sink(self, name: str) -> SinkSpec:
        if name not in self.sinks:
            raise not_found("sink", name, self.sinks, next_step="apply a document of kind Sink with this name")
        return self.sinks[name]

    def model_server(self, model_endpoint: str) -> ModelServerSpec | None:
        """Return the document behind a manifest's ``model_endpoint``; None: that is the address itself."""
        return self.model_servers.get(model_endpoint.partition(":")[0])


@dataclass(frozen=True)
class PipelineContext:
    """A pipeline at one revision, and the places it works on."""

    pipeline: Pipeline
    revision: int
    workspace: Workspace
    connections: Connections = Connections()

    @property
    def name(self) -> str:
        return self.pipeline.name

    @cached_property
    def database(self) -> Database:
        return self.workspace.database()

    @cached_property
    def storage(self) -> StorageMap:
        return self.workspace.storage(self.connections.storages)

    @cached_property
    def lake(self) -> Location:
        return self.storage.resolve(self.workspace.lake)

    @cached_property
    def tables(self) -> PipelineTables:
        from flywheel.lake.tables import pipeline_tables
        from flywheel.manifest.schema import output_schema

        schema = output_schema(self.pipeline)
        if self.pipeline.inference.output_field not in schema:
            raise FlywheelError(
                f"pipeline {self.name!r}: nothing says what its predictions look like",
                next_step="add spec.training (or a Training document), or `outputs` to the ml-inference stage",
            )
        return pipeline_tables(self.lake, self.name, schema)

    @cached_property
    def registry(self) -> Registry:
        from flywheel.registry.store import Registry

        return Registry(self.database, self.storage, f"{self.workspace.lake}/models")

    @cached_property
    def records(self) -> Ledger[InferencePlan]:
        """The ledger of the pipeline's batches of records."""
        from flywheel.metadata.ledger import InferencePlan, Ledger

        return Ledger(self.database, self.name, "records", InferencePlan)

    @cached_property
    def feedback(self) -> Ledger[JoinPlan]:
        """The ledger of the pipeline's batches of feedback events."""
        from flywheel.metadata.ledger import JoinPlan, Ledger

        return Ledger(self.database, self.name, "feedback", JoinPlan)

    @property
    def model_server(self) -> ModelServerSpec | None:
        """How the model server is reached; None: at the manifest's ``model_endpoint``, without more ado."""
        server = self.connections.model_server(self.pipeline.inference.model_endpoint)
        return None if server is None else server.from_folder(self.workspace.base)

    def folder(self, *names: str) -> str:
        """Return the URI of a folder or file of this pipeline in the lake."""
        return "/".join([self.workspace.lake.rstrip("/"), self.name, *names])

    def at_revision(self, number: int) -> PipelineContext:
        """Return this pipeline as it was at another revision, for a batch that was planned then."""
        from flywheel.metadata.revisions import Revisions

        if number == self.revision:
            return self
        pinned = Revisions(self.database).get(self.name, number)
        return PipelineContext(pinned.pipeline, pinned.number, self.workspace, self.connections)


def open_pipeline(workspace: Workspace, name: str, connections: Connections) -> PipelineContext:
    """Open the newest revision of the pipeline called ``name``."""
    from flywheel.metadata.revisions import Revisions

    database = workspace.database()
    database.require()
    revision = Revisions(database).current(name)
    return PipelineContext(revision.pipeline, revision.number, workspace, connections)


def at(as_of: datetime) -> str:
    """Write a logical time the way names and messages carry it.

    >>> from datetime import UTC
    >>> at(datetime(2013, 2, 1, tzinfo=UTC))
    '2013-02-01T00:00:00Z'
    """
    return as_of.isoformat(timespec="seconds").replace("+00:00", "Z")
