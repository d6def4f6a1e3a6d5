"""The six Delta tables of a pipeline: predictions, rescored, feedback, labels, profiles, quarantine."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import polars as pl

from flywheel.lake.delta import append_once, newest_number, open_table
from flywheel.lake.options import polars_options
from flywheel.lake.storage import Location
from flywheel.lake.trouble import reaching

if TYPE_CHECKING:
    import duckdb

TableName = Literal["predictions", "rescored", "feedback", "labels", "profiles", "quarantine"]
UTC_TIME = pl.Datetime("us", "UTC")
STRING, INTEGER, NUMBER, DATE = pl.String(), pl.Int64(), pl.Float64(), pl.Date()

# What the model said later of a row that a fallback, its `status`, had answered; the output field comes after these.
RESCORED = pl.Schema(
    {
        "prediction_id": STRING,
        "event_time": UTC_TIME,
        "predicted_at": UTC_TIME,
        "model_id": STRING,
        "model_version": INTEGER,
        "batch_id": INTEGER,
        "status": STRING,
    }
)
FEEDBACK = pl.Schema(
    {
        "prediction_id": STRING,
        "event": STRING,
        "event_time": UTC_TIME,
        "received_at": UTC_TIME,
        "label": STRING,
        "confidence": NUMBER,
        "batch_id": INTEGER,
        "sample_key": INTEGER,
        "date": DATE,
    }
)
LABELS = pl.Schema(
    {
        "prediction_id": STRING,
        "label": STRING,
        "confidence": NUMBER,
        "event": STRING,
        "event_time": UTC_TIME,
        "received_at": UTC_TIME,
        "batch_id": INTEGER,
        "sample_key": INTEGER,
        "date": DATE,
    }
)
PROFILES = pl.Schema(
    {
        "batch_id": INTEGER,
        "baseline_id": STRING,
        "predicted_at": UTC_TIME,
        "first_event": UTC_TIME,
        "last_event": UTC_TIME,
        "rows": INTEGER,
        "slice": STRING,
        "feature": STRING,
        "bin": pl.Int32(),
        "count": INTEGER,
        "date": DATE,
    }
)
QUARANTINE = pl.Schema(
    {
        "batch_id": INTEGER,
        "feed": STRING,
        "part": STRING,
        "row": INTEGER,
        "prediction_id": STRING,
        "event_time": UTC_TIME,
        "reason": STRING,
        "record": STRING,
        "features": STRING,
        "date": DATE,
    }
)


@dataclass(frozen=True)
class Newest:
    """A table at one moment: its version (None: there is no table), and the newest batch of an application in it."""

    version: int | None
    number: int


@dataclass(frozen=True)
class LakeTable:
    """One table of one pipeline. ``schema`` describes it for readers as long as nothing has been written."""

    location: Location
    schema: pl.Schema

    def append_once(self, rows: pl.DataFrame, app: str, number: int) -> bool:
        """Append a batch exactly once; an empty batch appends nothing. Columns come in the table's order."""
        if rows.is_empty():
            return False
        ordered = rows.select(self.schema.names()).cast(dict(self.schema))  # type: ignore[arg-type]
        return append_once(self.location, ordered, app, number, partition_by=["date"])

    def version(self) -> int | None:
        """Return the table's newest version, None while there is no table."""
        table = open_table(self.location)
        return table.version() if table else None

    def newest(self, app: str) -> Newest:
        """Return the table's newest version and the newest batch of ``app`` that it has, 0 for none."""
        table = open_table(self.location)
        if table is None:
            return Newest(None, 0)
        return Newest(table.version(), newest_number(self.location, table, app) or 0)

    def files(
        self,
        version: int | None = None,
        dates: tuple[date, date] | None = None,
        batches: Collection[int] | None = None,
    ) -> list[str]:
        """Return the Parquet files of ``version`` (default: the newest).

        With ``dates`` those of these partitions (inclusive), with ``batches`` those that may hold rows of one of them.
        """
        table = open_table(self.location, version)
        if table is None:
            return []
        wanted: list[tuple[str, str, str | list[str]]] = []
        if dates is not None:
            low, high = (day.isoformat() for day in dates)
            wanted += [("date", ">=", low), ("date", "<=", high)]
        if batches is not None:
            wanted.append(("batch_id", "in", [str(number) for number in batches]))
        with reaching(self.location):
            return table.file_uris(file_pruning_predicate=wanted or None)

    def dates(self) -> list[date]:
        """Return the partitions that the table has, oldest first."""
        table = open_table(self.location)
        with reaching(self.location):
            return sorted(date.fromisoformat(part["date"]) for part in table.partitions()) if table else []

    def attach(
        self,
        connection: duckdb.DuckDBPyConnection,
        name: str,
        files: Iterable[str],
        columns: Iterable[str] | None = None,
    ) -> None:
        """Make the rows of ``files`` the view ``name``; DuckDB reads only the columns that a statement names."""
        wanted = list(files)
        if not wanted:
            connection.register(name, pl.DataFrame(schema=self.schema).to_arrow())
        elif self.location.is_local:
            relation = connection.read_parquet(wanted, hive_partitioning=True, union_by_name=True)
            relation.create_view(name, replace=True)
        else:
            connection.register(name, self.read(wanted, columns).to_arrow())

    def read(self, files: Iterable[str], columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Return the rows of ``files`` as a frame."""
        with reaching(self.location):
            return self.scan(files, columns).collect()

    def scan(self, files: Iterable[str], columns: Iterable[str] | None = None) -> pl.LazyFrame:
        """Return the rows of ``files`` to be read later; whoever collects them is ``reaching`` the location."""
        wanted = list(files)
        names = list(columns) if columns is not None else self.schema.names()
        if not wanted:
            return pl.LazyFrame(schema=self.schema).select(names)
        frame = pl.scan_parquet(
            wanted,
            storage_options=polars_options(self.location),
            hive_partitioning=True,
            hive_schema={"date": pl.Date},
            missing_columns="insert",
            extra_columns="ignore",
            schema=self.schema,
        )
        return frame.select(names)


@dataclass(frozen=True)
class PipelineTables:
    """The tables of a pipeline, under ``<lake>/<pipeline>/``."""

    predictions: LakeTable
    rescored: LakeTable
    feedback: LakeTable
    labels: LakeTable
    profiles: LakeTable
    quarantine: LakeTable


def pipeline_tables(lake: Location, pipeline: str, prediction_schema: pl.Schema) -> PipelineTables:
    """Return the tables of ``pipeline`` in the lake at ``lake``; nothing is created by asking."""
    dated = pl.Schema([*prediction_schema.items(), ("date", DATE)])
    output = [(name, dtype) for name, dtype in prediction_schema.items() if isinstance(dtype, pl.Struct)]
    rescored = pl.Schema([*RESCORED.items(), *output, ("date", DATE)])
    return PipelineTables(
        predictions=LakeTable(lake.child(pipeline, "predictions"), dated),
        rescored=LakeTable(lake.child(pipeline, "rescored"), rescored),
        feedback=LakeTable(lake.child(pipeline, "feedback"), FEEDBACK),
        labels=LakeTable(lake.child(pipeline, "labels"), LABELS),
        profiles=LakeTable(lake.child(pipeline, "profiles"), PROFILES),
        quarantine=LakeTable(lake.child(pipeline, "quarantine"), QUARANTINE),
    )
