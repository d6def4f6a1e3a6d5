"""Where a workspace's data lives: the lake, the metadata database, and the storage behind other URIs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from flywheel.manifest.fields import AwsBlock, Url
from flywheel.settings import Settings

if TYPE_CHECKING:
    # SQLAlchemy takes longer to import than all that only reads the settings.
    from flywheel.lake.storage import StorageMap
    from flywheel.manifest.documents import StorageSpec
    from flywheel.metadata.database import Database


class Workspace(Settings):
    """A workspace, from ``FLYWHEEL_*`` variables, then ``flywheel.toml`` in the working directory, then defaults."""

    home: Path = Field(default=Path(".flywheel"), description="Folder of what is kept locally")
    lake_uri: str | None = Field(default=None, description="Delta tables, models, baselines: a folder or s3://")
    database_url: SecretStr | None = Field(default=None, description="SQLAlchemy URL of the metadata")
    s3_endpoint_url: Url | None = None
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_region: str | None = None
    s3_timeout_seconds: float = Field(default=30, gt=0, description="How long a request to the lake's bucket may take")
    s3_block: AwsBlock | None = Field(default=None, description="A block of prefect-aws: endpoint, keys, region")

    @property
    def lake(self) -> str:
        """Root of the lake; default: ``lake`` in the workspace's home."""
        return self.lake_uri or str(self.home.absolute() / "lake")

    @property
    def base(self) -> Path:
        """Folder that relative paths in manifests start from: the one that the workspace's home is in."""
        return self.home.absolute().parent

    def database(self) -> Database:
        """Open the metadata database; default: SQLite in the workspace's home."""
        from flywheel.metadata.database import Database

        url = self.database_url.get_secret_value() if self.database_url else None
        return Database(url or f"sqlite:///{self.home.absolute()}/metadata.db")

    def storage(self, others: tuple[StorageSpec, ...] = ()) -> StorageMap:
        """Return the storage of the lake and of ``others`` (the workspace's Storage documents)."""
        from flywheel.lake.storage import StorageMap
        from flywheel.manifest.documents import StorageSpec

        lake = StorageSpec(
            prefix=self.lake,
            root=self.lake,
            endpoint_url=self.s3_endpoint_url,
            access_key_id=self.s3_access_key_id,
            secret_access_key=self.s3_secret_access_key,
            region=self.s3_region,
            timeout_seconds=self.s3_timeout_seconds,
            block=self.s3_block,
        )
        return StorageMap((lake, *others), self.base)
