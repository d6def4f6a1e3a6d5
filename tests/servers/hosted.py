"""The parcels pipeline as it runs in production: its metadata on PostgreSQL, its lake, archive and exports on S3."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from parcels import Parcels
from processes import BUCKET, KEY, REGION, S3, SECRET, PostgreSQL
from pydantic import SecretStr
from sqlalchemy import make_url

from flywheel.manifest.documents import StorageSpec
from flywheel.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Hosted(Parcels):
    """The pipeline with its records in ``root``, and all that it writes under ``prefix`` in the bucket and in a
    database of its own."""

    s3: S3
    postgresql: PostgreSQL
    prefix: str
    database_url: str
    timeout_seconds: float = 30

    @property
    def workspace(self) -> Workspace:
        return Workspace(
            home=self.root / ".flywheel",
            lake_uri=f"s3://{BUCKET}/{self.prefix}/lake",
            database_url=SecretStr(self.database_url),
            s3_endpoint_url=self.s3.endpoint,
            s3_access_key_id=KEY,
            s3_secret_access_key=SecretStr(SECRET),
            s3_region=REGION,
            s3_timeout_seconds=self.timeout_seconds,
        )

    @property
    def storages(self) -> tuple[StorageSpec, ...]:
        return tuple(
            StorageSpec(
                prefix=name,
                root=f"s3://{BUCKET}/{self.prefix}/{name}",
                endpoint_url=self.s3.endpoint,
                access_key_id=KEY,
                secret_access_key=SecretStr(SECRET),
                region=REGION,
                timeout_seconds=self.timeout_seconds,
            )
            for name in ("archive", "exports")
        )

    def copy(self, root: Path, address: str | None = None) -> Hosted:
        """Copy the records, the objects and the database."""
        shutil.copytree(self.root, root)
        url = self.postgresql.fresh(self.database_url)
        prefix = str(make_url(url).database)  # no other copy has this name
        self.s3.copy(f"{self.prefix}/", f"{prefix}/")
        return replace(self, root=root, address=address or self.address, prefix=prefix, database_url=url)
