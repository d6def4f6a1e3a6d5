"""All that a pipeline has written, in a form that can be compared: without the wall clock's times, in a fixed order."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import polars as pl
from parcels import Parcels, in_order
from sqlalchemy import inspect, select

from flywheel.metadata.schema import (
    Base,
    Batch,
    Delivery,
    DriftAlert,
    DriftCheck,
    Export,
    ModelEvent,
    ModelVersion,
    Retraining,
    Review,
    SourceProgress,
)

TABLES = ("predictions", "rescored", "quarantine", "profiles", "feedback", "labels")
METADATA: tuple[type[Base], ...] = (
    Batch,
    SourceProgress,
    Delivery,
    ModelVersion,
    ModelEvent,
    Retraining,
    DriftCheck,
    DriftAlert,
    Export,
    Review,
)
# Told by the wall clock, or counted by the database.
_INCIDENTAL = {
    "planned_at",
    "committed_at",
    "delivered_at",
    "created_at",
    "recorded_at",
    "started_at",
    "finished_at",
    "checked_at",
    "asked_at",
    "decided_at",
    "id",
}
# Folders of plain files in the lake; beside them there are the exports. A file that a killed process left under a
# temporary name is not one of them. Model files are not either: what one holds is compared with its version.
_FOLDERS = ("parcels/staging", "baselines")


@dataclass(frozen=True)
class State:
    """All that is there: the rows of every table and of the Delta sink, the metadata's rows, the files' hashes."""

    tables: dict[str, pl.DataFrame]
    metadata: dict[str, list[dict[str, Any]]]
    files: dict[str, str]


def state_of(parcels: Parcels) -> State:
    """Look at everything."""
    return State(tables_of(parcels), metadata_of(parcels), files_of(parcels))


def tables_of(parcels: Parcels) -> dict[str, pl.DataFrame]:
    """Every row of every table, and of the Delta sink."""
    found = parcels.context.tables
    tables = {name: getattr(found, name) for name in TABLES}
    return {
        **{name: in_order(table.read(table.files())) for name, table in tables.items()},
        "archive": parcels.archive(),
    }


def metadata_of(parcels: Parcels) -> dict[str, list[dict[str, Any]]]:
    """The rows of the metadata database."""
    found = {}
    with parcels.workspace.database().session() as session:
        for model in METADATA:
            names = [column.key for column in inspect(model).columns if column.key not in _INCIDENTAL]
            keys = inspect(model).primary_key
            rows = session.scalars(select(model).order_by(*keys))
            found[model.__tablename__] = [{name: _portable(row, name, parcels) for name in names} for row in rows]
    return found


def files_of(parcels: Parcels) -> dict[str, str]:
    """The SHA-256 of every plain file of the pipeline."""
    storage, lake = parcels.context.storage, parcels.workspace.lake
    folders = {"exports": "exports", **{folder: f"{lake}/{folder}" for folder in _FOLDERS}}
    return {
        f"{name}/{file.path}": hashlib.sha256(storage.read_bytes(f"{uri}/{file.path}")).hexdigest()
        for name, uri in folders.items()
        for file in storage.list_files(uri)
        if "#" not in file.path
    }


def assert_same(found: State, expected: State) -> None:
    """Fail unless both are the same: rows, ledger, registry and files."""
    for name, rows in found.tables.items():
        assert rows.schema == expected.tables[name].schema, name
        assert rows.equals(expected.tables[name]), name
    for name, entries in found.metadata.items():
        assert entries == expected.metadata[name]
    assert found.files == expected.files


def _portable(row: Base, name: str, parcels: Parcels) -> Any:
    value = getattr(row, name)
    if isinstance(row, ModelVersion) and name in ("uri", "sha256"):
        return _content(parcels.workspace.storage().read_bytes(f"{parcels.workspace.lake}/models/{row.uri}"))
    return value.replace(str(parcels.root), "") if isinstance(value, str) else value


@cache
def _content(model: bytes) -> list[str]:
    """What a skops file says: without the times of its parts, and the addresses of objects that they are named by."""
    with ZipFile(BytesIO(model)) as parts:
        numbers: dict[str, str] = {}
        schema = re.sub(
            r"\b\d{12,}\b",
            lambda found: numbers.setdefault(found[0], str(len(numbers))),
            parts.read("schema.json").decode(),
        )
        arrays = [parts.read(part) for part in parts.namelist() if part != "schema.json"]
    return [hashlib.sha256(text).hexdigest() for text in (schema.encode(), *arrays)]
