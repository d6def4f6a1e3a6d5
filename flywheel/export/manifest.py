"""What is known about a published export: its files, where its rows came from, and how they were chosen."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flywheel.manifest.training import Sampling

MANIFEST_FILE = "_export.json"


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Lineage(Record):
    """Where the rows came from: enough to select the same ones again."""

    pipeline: str
    revision: int
    as_of: datetime
    predictions_version: int | None = Field(default=None, description="Version of the predictions table")
    labels_version: int | None = Field(default=None, description="Version of the labels table")


class Column(Record):
    name: str
    type: str


class PartitionValue(Record):
    """The value that every row of a file has in a partition column; null where it is missing."""

    column: str
    value: str | None


class ExportFile(Record):
    """One Parquet file; ``path`` is relative to the export's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str
    partition: list[PartitionValue]


class LabelCount(Record):
    """Rows with a label, and what they stand for: the sum of their weights."""

    label: str
    rows: int
    weight: float


class ExportManifest(Record):
    """The file ``_export.json``, written last: an export exists when it does.

    ``columns`` are those of the rows, in order; a partition column is in the path, not in the files.
    """

    id: str
    format: Literal["parquet"] = "parquet"
    lineage: Lineage
    sampling: Sampling
    min_confidence: float
    partition_by: list[str]
    model_versions: list[int]
    columns: list[Column]
    rows: int
    weight: float = Field(description="Labelled rows that the export stands for: the sum of the weights")
    labels: list[LabelCount]
    files: list[ExportFile]

    def to_json(self) -> bytes:
        return (self.model_dump_json(indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> ExportManifest:
        return cls.model_validate_json(data)
