"""The five Delta tables of a pipeline: predictions, feedback, labels, profiles, quarantine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal

import duckdb
import polars as pl

from flywheel.lake.delta import append_once, open_table
from flywheel.lake.storage import Location

TableName = Literal["predictions", "feedback", "labels", "profiles", "quarantine"]
UTC_TIME = pl.Datetime("us", "UTC")
STRING, INTEGER, NUMBER, DATE = pl.String(), pl.Int64(), pl.Float64(), pl.Date()

FEEDBACK = pl.Schema(
    {
        "prediction_id": STRING,
        "event": STRING,
        "event_time": UTC_TIME,
        "received_at": UTC_TIME,
        "label": STRING,
        "confidence": NUMBER,
        "batch_id": INTEGER,
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
        "date": DATE,
    }
)


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
        return append_once(self.location, ordered.to_arrow(), app, number, partition_by=["date"])

    def version(self) -> int | None:
        """Return the table's newest version, None while there is no table."""
        table = open_table(self.location)
        return table.version() if table else None

    def files(self, version: int | None = None, dates: tuple[date, date] | None = None) -> list[str]:
        """Return the Parquet files of ``version`` (default: the newest), of the partitions ``dates`` (inclusive)."""
        table = open_table(self.location, version)
        if table is None:
            return []
        if dates is None:
            return table.file_uris()
        low, high = (day.isoformat() for day in dates)
        return table.file_uris(file_pruning_predicate=[("date", ">=", low), ("date", "<=", high)])

    def dates(self) -> list[date]:
        """Return the partitions that the table has, oldest first."""
        table = open_table(self.location)
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
        wanted = list(files)
        names = list(columns) if columns is not None else self.schema.names()
        if not wanted:
            return pl.DataFrame(schema=self.schema).select(names)
        frame = pl.scan_parquet(
            wanted,
            storage_options=self.location.options or None,
            hive_partitioning=True,
            hive_schema={"date": pl.Date},
            missing_columns="insert",
            extra_columns="ignore",
            schema=self.schema,
        )
        return frame.select(names).collect()


@dataclass(frozen=True)
class PipelineTables:
    """The tables of a pipeline, under ``<lake>/<pipeline>/``."""

    predictions: LakeTable
    feedback: LakeTable
    labels: LakeTable
    profiles: LakeTable
    quarantine: LakeTable


def pipeline_tables(lake: Location, pipeline: str, prediction_schema: pl.Schema) -> PipelineTables:
    """Return the tables of ``pipeline`` in the lake at ``lake``; nothing is created by asking."""
    dated = pl.Schema([*prediction_schema.items(), ("date", DATE)])
    return PipelineTables(
        predictions=LakeTable(lake.child(pipeline, "predictions"), dated),
        feedback=LakeTable(lake.child(pipeline, "feedback"), FEEDBACK),
        labels=LakeTable(lake.child(pipeline, "labels"), LABELS),
        profiles=LakeTable(lake.child(pipeline, "profiles"), PROFILES),
        quarantine=LakeTable(lake.child(pipeline, "quarantine"), QUARANTINE),
    )
