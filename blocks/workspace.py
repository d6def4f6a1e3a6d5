"""The workspace as a block, so that a worker on another machine finds the same lake and the same metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from flywheel.workspace import Workspace

DEFAULT_NAME = "default"


class FlywheelWorkspace(Block):
    """Where the lake and the metadata database are."""

    _block_type_name = "Flywheel Workspace"
    _block_type_slug = "flywheel-workspace"
    _description = "The lake and the metadata database of a Flywheel installation; `flywheel init` saves it."

    home: Path = Field(description="Folder of what is kept locally")
    lake_uri: str | None = Field(default=None, description="Delta tables, models, baselines: a folder or s3://")
    database_url: SecretStr | None = Field(default=None, description="SQLAlchemy URL of the metadata")
    s3_endpoint_url: str | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_region: str | None = None
    s3_timeout_seconds: float = Field(default=30, gt=0, description="How long a request to the lake's bucket may take")
    s3_block: str | None = Field(default=None, description="A block of prefect-aws: endpoint, keys, region")

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """Return the block that stands for ``workspace``; its home becomes absolute."""
        return cls(**{**workspace.model_dump(), "home": workspace.home.absolute()})

    def workspace(self) -> Workspace:
        """Return the workspace that this block stands for."""
        return Workspace(**{name: getattr(self, name) for name in Workspace.model_fields})
