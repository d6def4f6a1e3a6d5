"""What is in quarantine lately, by reason: how often, since when, and an example of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
from sqlalchemy import func, select

from flywheel.lake.tables import LakeTable
from flywheel.metadata.database import Database
from flywheel.metadata.schema import Batch

_SHOWN_CHARACTERS = 2_000
# The values and times in reasons, which differ from record to record.
_VALUE = r" = '(?s:.*?)' "
_TIME = r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|[+-]\d\d:?\d\d)?"
_KEY = ["feed", "batch_id", "part", "row"]


@dataclass(frozen=True)
class RefusedExample:
    """The newest record or event of a reason, with its own reason: where it was read, and its text."""

    batch: int
    part: str
    row: int
    prediction_id: str | None
    event_time: datetime | None
    reason: str
    record: str | None


@dataclass(frozen=True)
class RefusedReason:
    """A reason without its values, and the ``records`` (feed: records) or events (feed: feedback) that have it."""

    reason: str
    feed: str
    records: int
    first_batch: int
    last_batch: int
    example: RefusedExample


def refused_reasons(
    quarantine: LakeTable, database: Database, pipeline: str, days: float, limit: int
) -> list[RefusedReason]:
    """Return the reasons in the batches of the last ``days`` before a feed's newest batch, the commonest first."""
    rows = quarantine.read(quarantine.files(), [*_KEY, "prediction_id", "event_time", "reason"])
    recent = rows.join(_first_batches(database, pipeline, days), on="feed").filter(
        pl.col("batch_id") >= pl.col("first")
    )
    grouped = (
        recent.with_columns(kind=_without_values(pl.col("reason")))
        .sort(_KEY)
        .group_by("feed", "kind", maintain_order=True)
        .agg(
            pl.len().alias("records"),
            pl.col("batch_id").min().alias("first_batch"),
            pl.all().exclude("first").last(),
        )
        .sort("records", "kind", descending=[True, False])
        .head(limit)
    )
    shown = grouped.join(_records(quarantine, grouped), on=_KEY, how="left", maintain_order="left")
    return [_reason(row) for row in shown.iter_rows(named=True)]


def _first_batches(database: Database, pipeline: str, days: float) -> pl.DataFrame:
    """The first batch of each feed that is young enough."""
    newest = select(Batch.feed, func.max(Batch.as_of)).where(Batch.pipeline == pipeline).group_by(Batch.feed)
    found = []
    with database.session() as session:
        for feed, as_of in session.execute(newest).all():
            young = Batch.as_of >= as_of - timedelta(days=days)
            of_feed = (Batch.pipeline == pipeline, Batch.feed == feed, young)
            found.append((feed, session.scalar(select(func.min(Batch.number)).where(*of_feed))))
    return pl.DataFrame(found, schema={"feed": pl.String, "first": pl.Int64}, orient="row")


def _without_values(reason: pl.Expr) -> pl.Expr:
    return reason.str.replace_all(_VALUE, " = … ").str.replace_all(_TIME, "…")


def _records(quarantine: LakeTable, wanted: pl.DataFrame) -> pl.DataFrame:
    """The texts of these records only: they may be long, and there may be millions."""
    batches = wanted["batch_id"].unique().to_list()
    rows = quarantine.read(quarantine.files(batches=batches), [*_KEY, "record"]) if batches else _no_records(quarantine)
    found = rows.join(wanted.select(_KEY), on=_KEY, how="semi").unique(_KEY)
    return found.with_columns(pl.col("record").str.slice(0, _SHOWN_CHARACTERS))


def _no_records(quarantine: LakeTable) -> pl.DataFrame:
    return pl.DataFrame(schema=quarantine.schema).select(*_KEY, "record")


def _reason(row: dict[str, object]) -> RefusedReason:
    names = ("part", "row", "prediction_id", "event_time", "reason", "record")
    example = RefusedExample(batch=row["batch_id"], **{name: row[name] for name in names})  # type: ignore[arg-type]
    counted = {name: row[name] for name in ("feed", "records", "first_batch")}
    return RefusedReason(reason=row["kind"], last_batch=row["batch_id"], example=example, **counted)  # type: ignore[arg-type]
