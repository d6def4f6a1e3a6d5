"""A small pipeline, whole: parcels that arrive late, their records, their feedback, and a workspace to run it in.

A parcel is late when it goes far, give or take some luck. Day ``n`` is the ``n``-th day after START; everything of it
is known when it ends, its feedback two hours later.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from blocks import FlywheelModelServer, FlywheelWorkspace
from blocks.workspace import DEFAULT_NAME
from deployments.apply import apply
from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.lake.delta import open_table
from flywheel.manifest.documents import ModelServerSpec, StorageSpec
from flywheel.manifest.load import Bundle, parse
from flywheel.metadata.queries.reviews import Decision, decide_review
from flywheel.metadata.revisions import Revisions
from flywheel.registry.version import RegisteredModel
from flywheel.workspace import Workspace

NAME, MODEL = "parcels", "late-parcel"
NOWHERE = "127.0.0.1:1"
START = datetime(2024, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HISTORY = 1_200

Document = dict[str, Any]
Edit = Callable[[Document], None]


def end_of(day: float) -> datetime:
    """The logical time at which all records of ``day`` (from 1) are known."""
    return START + day * DAY


def known_after(day: float) -> datetime:
    """The logical time at which all feedback on the records of ``day`` is known too."""
    return end_of(day) + timedelta(hours=2)


def made_parcels(
    seed: int,
    first: datetime,
    count: int,
    shift: float = 0.0,
    luck: float = 10.0,
    heavier: float = 1.0,
    delay: float = 0.0,
) -> pl.DataFrame:
    """Make a day of parcels.

    ``shift`` sends all of them farther, ``luck`` is how much their distance leaves open, ``heavier`` multiplies their
    weight (which tells nothing), ``delay`` makes all later than parcels such as these were before.
    """
    random = np.random.default_rng(seed)
    distance = random.gamma(4.0, 25.0, count) + shift
    times = first + DAY * pl.Series((np.arange(count) + 0.5) / count)
    return pl.DataFrame(
        {
            "id": [f"p{seed}-{number}" for number in range(count)],
            "timestamp": _texts(times),
            "route": pl.DataFrame(
                {"km": distance, "region": random.choice(["north", "south", "east"], count)}
            ).to_struct(),
            "kilos": heavier * random.lognormal(0.0, 0.5, count),
            "minutes_late": distance - 110 - shift + delay + random.normal(0.0, luck, count),
        }
    )


def feedback_on(parcels: pl.DataFrame, hours: float = 2) -> pl.DataFrame:
    """The event of each parcel's delivery, so many hours later."""
    times = parcels["timestamp"].str.to_datetime(time_zone="UTC") + timedelta(hours=hours)
    return parcels.select("id", event=pl.lit("delivered"), timestamp=_texts(times), arrival=pl.struct("minutes_late"))


def _texts(times: pl.Series) -> pl.Series:
    return times.dt.cast_time_unit("us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")


def pipeline_document() -> Document:
    """The pipeline's manifest; tests edit it before they apply it."""
    features = [
        {"name": "km", "source_field": "$.route.km", "minimum": 0},
        {
            "name": "region",
            "source_field": "$.route.region",
            "type": "category",
            "categories": ["north", "south", "east"],
        },
        {"name": "kilos", "source_field": "$.kilos", "nullable": True},
    ]
    inference = {
        "model_endpoint": "model-server:50051",
        "model_id": MODEL,
        "input_features": ["km", "region", "kilos"],
        "timeout_ms": 5000,
    }
    drift = {"mode": "blocking", "window": "1d", "min_rows": 100, "thresholds": {"psi": 0.5}, "on_drift": "retrain"}
    return {
        "apiVersion": "flywheel-ml.io/v1",
        "kind": "FlywheelPipeline",
        "metadata": {"name": NAME},
        "spec": {
            "source": "parcels",
            "stages": [
                {"id": "features", "type": "feature-extraction", "config": {"features": features}},
                {"id": "inference", "type": "ml-inference", "config": inference},
                {"id": "drift", "type": "drift-detection", "config": drift},
            ],
            "feedback": {
                "source": "deliveries",
                "join_key": "$.id",
                "payload": {"minutes_late": {"path": "$.arrival.minutes_late", "type": "float"}},
                "max_delay_hours": 48,
                "labels": [
                    {"event": "delivered", "when": "minutes_late > 0.0", "label": "late"},
                    {"event": "delivered", "label": "on_time"},
                ],
            },
            "training_export": {
                "destination_uri": "exports",
                "sampling": {"strategy": "stratified", "negative_rate": 0.5},
            },
            "training": {
                "task": "classification",
                "algorithm": "sgd",
                "target": "late",
                "holdout": "1d",
                "min_rows": 200,
                "bootstrap": {"source": "history", "label_field": "$.outcome"},
            },
            "sinks": [{"name": "archive", "all": True}, {"name": "shout", "condition": "prediction.score > 0.5"}],
            "batch": {"max_rows": 200},
        },
    }


def inference_of(document: Document) -> Document:
    """The config of a manifest's ``ml-inference`` stage."""
    return document["spec"]["stages"][1]["config"]


def drift_of(document: Document) -> Document:
    """The config of a manifest's ``drift-detection`` stage."""
    return document["spec"]["stages"][2]["config"]


def _connections(address: str) -> list[Document]:
    def document(kind: str, name: str, **spec: Any) -> Document:
        return {"apiVersion": "flywheel-ml.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}

    return [
        document("Source", "parcels", type="files", uri="data/parcels", format="ndjson"),
        document("Source", "deliveries", type="files", uri="data/deliveries", format="ndjson"),
        document("Source", "history", type="files", uri="data/history", format="ndjson"),
        document("Sink", "archive", type="table", uri="archive", format="delta"),
        document("Sink", "shout", type="log"),
        document("ModelServer", "model-server", address=address),
    ]


def bundle(address: str, *edits: Edit) -> Bundle:
    """The manifest with ``edits`` made to it, and the documents beside it."""
    document = pipeline_document()
    for edit in edits:
        edit(document)
    return parse("\n---\n".join(json.dumps(each) for each in [document, *_connections(address)]), "parcels.yaml")


@cache
def connections(address: str) -> Connections:
    """What the names in the manifest stand for, as the blocks would say it."""
    documents = bundle(address)
    return Connections(
        sources={name: document.spec for name, document in documents.sources.items()},
        sinks={name: document.spec for name, document in documents.sinks.items()},
        model_servers={name: document.spec for name, document in documents.model_servers.items()},
    )


@dataclass(frozen=True)
class Parcels:
    """The pipeline in a workspace of its own, in the folder ``root``, with its model server at ``address``."""

    root: Path
    address: str = NOWHERE

    @property
    def workspace(self) -> Workspace:
        return Workspace(home=self.root / ".flywheel")

    @property
    def context(self) -> PipelineContext:
        """The pipeline's newest revision, without a Prefect server's help; a new one each time."""
        return open_pipeline(self.workspace, NAME, replace(connections(self.address), storages=self.storages))

    @property
    def storages(self) -> tuple[StorageSpec, ...]:
        """Where the archive and the exports are, if not in the folder."""
        return ()

    def make(self) -> None:
        """Write the history that the first champion learns from, and the folders that are read."""
        for name in ("parcels", "deliveries", "history"):
            (self.root / "data" / name).mkdir(parents=True)
        for day in range(1, 7):
            parcels = made_parcels(1000 + day, end_of(-day), HISTORY // 6)
            file = self.root / "data" / "history" / f"{7 - day}.ndjson"
            parcels.drop("minutes_late").with_columns(outcome=outcome_of(parcels)).write_ndjson(file)

    def copy(self, root: Path, address: str | None = None) -> Parcels:
        """Copy the whole workspace to another folder."""
        shutil.copytree(self.root, root)
        return Parcels(root, address or self.address)

    def select(self) -> None:
        """Make this the workspace that flows work on, and its model server the one they ask, by their blocks."""
        FlywheelWorkspace.of(self.workspace).save(DEFAULT_NAME, overwrite=True)
        FlywheelModelServer(spec=ModelServerSpec(address=self.address)).save("model-server", overwrite=True)

    def apply(self, *edits: Edit) -> list[str]:
        """Apply the manifest with ``edits`` made to it, and the documents beside it."""
        return apply(bundle(self.address, *edits), self.workspace)

    def revise(self, *edits: Edit) -> None:
        """Store another revision of the manifest only, which takes a tenth of the time."""
        text = bundle(self.address, *edits).texts["FlywheelPipeline", NAME]
        Revisions(self.workspace.database()).apply(NAME, text, None)

    def day(self, day: int, count: int = 200, **changes: float) -> pl.DataFrame:
        """Write a day of records and of feedback on them, changed as ``made_parcels`` says; return the parcels."""
        parcels = made_parcels(day, end_of(day - 1), count, **changes)
        self.records(f"{day:02d}.ndjson", parcels)
        self.events(f"{day:02d}.ndjson", feedback_on(parcels))
        return parcels

    def records(self, file: str, parcels: pl.DataFrame) -> None:
        """Write records as NDJSON."""
        parcels.drop("minutes_late", strict=False).write_ndjson(self.root / "data" / "parcels" / file)

    def broken_records(self, file: str, *lines: str) -> None:
        """Append lines to a file of records as they are."""
        with (self.root / "data" / "parcels" / file).open("a") as records:
            records.writelines(f"{line}\n" for line in lines)

    def events(self, file: str, events: pl.DataFrame) -> None:
        """Write feedback events."""
        events.write_ndjson(self.root / "data" / "deliveries" / file)

    def table(self, name: str) -> pl.DataFrame:
        """Return all of a table of the lake, every column, in an order that depends on the content only."""
        table = getattr(self.context.tables, name)
        return in_order(table.read(table.files()))

    def archive(self) -> pl.DataFrame:
        """Return what the Delta sink has got."""
        place = self.context.storage.resolve("archive")
        if open_table(place) is None:
            return pl.DataFrame()
        return in_order(pl.read_delta(place.uri, storage_options=place.options or None))

    def versions(self) -> list[RegisteredModel]:
        return self.context.registry.versions(MODEL)

    def champion(self) -> int | None:
        champion = self.context.registry.champion(MODEL)
        return champion.version if champion else None

    def decide(self, version: int, decision: Decision, comment: str = "") -> None:
        """Decide a review, as ``flywheel review approve`` and ``decline`` do."""
        decide_review(self.workspace.database(), MODEL, version, decision, comment)


def outcome_of(parcels: pl.DataFrame) -> pl.Series:
    """The label that each parcel's feedback will give."""
    return parcels.select(
        pl.when(pl.col("minutes_late") > 0).then(pl.lit("late")).otherwise(pl.lit("on_time"))
    ).to_series()


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Sort by every column that can be compared."""
    return rows.sort(~cs.struct(), nulls_last=True) if rows.height else rows
