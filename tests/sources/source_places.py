"""Places that records can be written to and read from, one for each kind of source."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from flywheel.lake.storage import StorageMap
from flywheel.manifest.documents import FilesSourceSpec, SqlSourceSpec
from flywheel.manifest.jsonpath import JsonPath
from flywheel.sources.base import Progress, Slice, Source
from flywheel.sources.open import open_source

LATER = datetime(2100, 1, 1, tzinfo=UTC)
Record = Mapping[str, Any]


class Place(ABC):
    """Somewhere that records are added to, and a source that reads them."""

    @abstractmethod
    def add(self, records: Sequence[Record], name: str = "part") -> None: ...

    @abstractmethod
    def source(self, event_time: str = "$.timestamp", received_at: str | None = None) -> Source: ...


class FilesPlace(Place):
    def __init__(self, folder: Path, file_format: str) -> None:
        self.folder = folder
        self.format = file_format

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.{self.format}"

    def add(self, records: Sequence[Record], name: str = "part") -> None:
        """Add to a file; the folder's other files stay."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.format == "parquet":
            frame = pl.DataFrame(records, infer_schema_length=None)
            old = [pl.read_parquet(path)] if path.exists() else []
            pl.concat([*old, frame], how="diagonal_relaxed").write_parquet(path, row_group_size=7)
            return
        text = _ndjson(records) if self.format == "ndjson" else _csv(records, header=not path.exists())
        with path.open("a", encoding="utf-8", newline="") as stream:
            stream.write(text)

    def source(self, event_time: str = "$.timestamp", received_at: str | None = None) -> Source:
        spec = FilesSourceSpec(
            type="files",
            uri=str(self.folder),
            format=self.format,
            event_time=JsonPath(event_time),
            received_at=JsonPath(received_at) if received_at else None,
        )
        return open_source(spec, StorageMap())


class SqlPlace(Place):
    def __init__(self, file: Path) -> None:
        self.url = f"sqlite:///{file}"
        with self._begin() as connection:
            connection.execute(
                sa.text("CREATE TABLE events (seq INTEGER PRIMARY KEY, id, timestamp, received, x, note)")
            )

    def add(self, records: Sequence[Record], name: str = "part") -> None:
        rows = [{"received": None, "x": None, "note": None, **record} for record in records]
        with self._begin() as connection:
            statement = (
                "INSERT INTO events (id, timestamp, received, x, note) VALUES (:id, :timestamp, :received, :x, :note)"
            )
            connection.execute(sa.text(statement), rows)

    def source(
        self,
        event_time: str = "$.timestamp",
        received_at: str | None = None,
        query: str = "SELECT * FROM events WHERE note IS NOT ':none' -- all of them;",
        cursor: str = "seq",
    ) -> Source:
        spec = SqlSourceSpec(
            type="sql",
            url=self.url,
            query=query.rstrip(";"),
            cursor=cursor,
            event_time=JsonPath(event_time),
            received_at=JsonPath(received_at) if received_at else None,
        )
        return open_source(spec, StorageMap())

    def _begin(self) -> Any:
        return sa.create_engine(self.url, poolclass=sa.NullPool).begin()


FORMATS = ["parquet", "csv", "ndjson"]


def make_place(kind: str, folder: Path) -> Place:
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "sql":
        return SqlPlace(folder / "events.db")
    (folder / "records").mkdir()
    return FilesPlace(folder / "records", kind)


class Reader:
    """Does what the ledger does: plans, remembers progress (through JSON), and can read any planned batch again."""

    def __init__(self, place: Place, **options: Any) -> None:
        self.place = place
        self.options = options
        self.done: dict[str, Progress] = {}
        self.batches: list[list[Slice]] = []

    def plan(self, as_of: datetime = LATER, max_rows: int = 1000) -> list[Slice]:
        """Plan with a source that knows nothing but the progress."""
        slices = self.place.source(**self.options).plan(self.done, as_of, max_rows)
        slices = [Slice.model_validate_json(piece.model_dump_json()) for piece in slices]
        assert len({piece.part for piece in slices}) == len(slices)
        for piece in slices:
            self.done[piece.part] = Progress(rows=piece.stop, mark=piece.mark)
        if slices:
            self.batches.append(slices)
        return slices

    def drain(self, as_of: datetime = LATER, max_rows: int = 1000) -> list[Any]:
        """Read batch after batch until nothing is new; return the ids."""
        ids: list[Any] = []
        while slices := self.plan(as_of, max_rows):
            ids += self.values(slices)
        return ids

    def values(self, slices: Sequence[Slice], path: str = "$.id") -> list[Any]:
        return self.place.source(**self.options).read(slices, [JsonPath(path)]).values[path].to_list()


def record(number: int, **fields: Any) -> dict[str, Any]:
    """A record whose event time is ``number`` minutes into 2013."""
    time = datetime(2013, 1, 1, number // 60 % 24, number % 60, tzinfo=UTC)
    return {"id": f"r{number}", "timestamp": time.isoformat(), "x": number / 2, "note": "plain", **fields}


def _ndjson(records: Sequence[Record]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def _csv(records: Sequence[Record], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(records[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
