"""The metadata tables, as SQLAlchemy models; ``sql/migrations`` holds the same as steps.

All times are UTC. On SQLite they are stored without an offset and read back as UTC (``UtcDateTime``).
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone, which SQLite would otherwise drop."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}


class PipelineRevision(Base):
    """One applied version of a pipeline: its manifest, and the Training document beside it if there was one."""

    __tablename__ = "pipeline_revisions"

    pipeline: Mapped[str] = mapped_column(String(63), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True)
    manifest: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(64))
    applied_at: Mapped[datetime]
    deleted: Mapped[bool] = mapped_column(default=False)


class Connection(Base):
    """A Source, Sink, ModelServer or Storage document, without its secrets (those are in the Prefect block only)."""

    __tablename__ = "connections"

    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    spec: Mapped[dict[str, Any]]
    applied_at: Mapped[datetime]


class Batch(Base):
    """The ledger: one row a batch, written before any work (``planned``) and after all of it (``committed``)."""

    __tablename__ = "batches"

    pipeline: Mapped[str] = mapped_column(String(63), primary_key=True)
    feed: Mapped[str] = mapped_column(String(20), primary_key=True)  # records | feedback
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    status: Mapped[str] = mapped_column(String(10))  # planned | committed
    revision: Mapped[int]
    as_of: Mapped[datetime]
    plan: Mapped[dict[str, Any]]
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    planned_at: Mapped[datetime]
    committed_at: Mapped[datetime | None]


class SourceProgress(Base):
    """How far the planned batches have come in each part (file, query) of a source."""

    __tablename__ = "source_progress"

    pipeline: Mapped[str] = mapped_column(String(63), primary_key=True)
    feed: Mapped[str] = mapped_column(String(20), primary_key=True)
    part: Mapped[str] = mapped_column(String(1000), primary_key=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    mark: Mapped[str] = mapped_column(Text, default="")


class Delivery(Base):
    """What a sink has got of a batch."""

    __tablename__ = "deliveries"

    pipeline: Mapped[str] = mapped_column(String(63), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    sink: Mapped[str] = mapped_column(String(63), primary_key=True)
    rows: Mapped[int]
    delivered_at: Mapped[datetime]


class ModelVersion(Base):
    """One trained model: where its file is, what it must hash to, and where it stands."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "training_key"),)

    model_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    pipeline: Mapped[str] = mapped_column(String(63))
    training_key: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(10))  # candidate | champion | archived | rejected
    uri: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    card: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]


class ModelEvent(Base):
    """The append-only history of a model: registered, evaluated, promoted, archived, rejected."""

    __tablename__ = "model_events"
    __table_args__ = (
        ForeignKeyConstraint(["model_id", "version"], ["model_versions.model_id", "model_versions.version"]),
        Index("model_events_by_model", "model_id", "version"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    model_id: Mapped[str] = mapped_column(String(63))
    version: Mapped[int]
    event: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text, default="")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
    as_of: Mapped[datetime]
    recorded_at: Mapped[datetime]


class DriftCheck(Base):
    """A drift check and the decision it came to; the stored decision is the truth, the event only a hint."""

    __tablename__ = "drift_checks"
    __table_args__ = (Index("drift_checks_by_pipeline", "pipeline", "as_of"),)

    id: Mapped[str] = mapped_column(String(150), primary_key=True)
    pipeline: Mapped[str] = mapped_column(String(63))
    as_of: Mapped[datetime]
    baseline_id: Mapped[str] = mapped_column(String(150))
    first_batch: Mapped[int]
    last_batch: Mapped[int]
    rows: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[str] = mapped_column(String(20))  # drift | no_drift | not_enough_data
    severity: Mapped[str] = mapped_column(String(10))  # none | low | medium | high | critical
    action: Mapped[str] = mapped_column(String(10))  # none | alert | retrain | fallback
    reason: Mapped[str] = mapped_column(Text)
    measures: Mapped[list[Any]]
    joint: Mapped[list[Any] | None]  # what features show together; null where that was not asked
    harm: Mapped[str | None] = mapped_column(String(10))  # harmful | harmless | unknown
    decay: Mapped[dict[str, Any] | None]
    alert_id: Mapped[str | None] = mapped_column(String(150))
    notice: Mapped[str] = mapped_column(String(10), default="none")  # opened | worsened | ongoing | resolved | none
    checked_at: Mapped[datetime]


class DriftAlert(Base):
    """Checks that alarmed, one after the other: one thing to tell, from the check that opened it to its end."""

    __tablename__ = "drift_alerts"
    __table_args__ = (Index("drift_alerts_by_pipeline", "pipeline", "opened_at"),)

    id: Mapped[str] = mapped_column(String(150), primary_key=True)
    pipeline: Mapped[str] = mapped_column(String(63))
    opened_at: Mapped[datetime]
    severity: Mapped[str] = mapped_column(String(10))
    checks: Mapped[int]
    clean: Mapped[int]
    resolved_at: Mapped[datetime | None]


class PerformanceWindow(Base):
    """What the labels of a window say of a model version (0: of all), corrected for those that are still to come."""

    __tablename__ = "performance_windows"

    pipeline: Mapped[str] = mapped_column(String(63), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    window_end: Mapped[datetime] = mapped_column(primary_key=True)
    as_of: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(10))  # open | final
    rows: Mapped[int] = mapped_column(BigInteger)
    labelled: Mapped[int] = mapped_column(BigInteger)
    expected: Mapped[float | None]
    measured: Mapped[int] = mapped_column(BigInteger)
    metrics: Mapped[dict[str, Any]]
    note: Mapped[str] = mapped_column(Text, default="")
    calculated_at: Mapped[datetime]


class Retraining(Base):
    """One retrain, keyed by what asked for it (a drift check's id, a schedule's time, a person's word)."""

    __tablename__ = "retrainings"

    pipeline: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(150), primary_key=True)
    as_of: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(10))  # running | done
    outcome: Mapped[str | None] = mapped_column(String(20))  # promoted | in_review | rejected | not_enough_data
    reason: Mapped[str] = mapped_column(Text, default="")
    champion: Mapped[int | None]
    candidate: Mapped[int | None]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class Export(Base):
    """One published training export."""

    __tablename__ = "exports"

    id: Mapped[str] = mapped_column(String(150), primary_key=True)
    pipeline: Mapped[str] = mapped_column(String(63))
    as_of: Mapped[datetime]
    uri: Mapped[str] = mapped_column(Text)
    rows: Mapped[int] = mapped_column(BigInteger)
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Review(Base):
    """A candidate waiting for a person; a later ``promote`` run acts on the decision."""

    __tablename__ = "reviews"

    model_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    pipeline: Mapped[str] = mapped_column(String(63))
    decision: Mapped[str] = mapped_column(String(10))  # pending | approved | declined
    comment: Mapped[str] = mapped_column(Text, default="")
    asked_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]


class Expiration(Base):
    """Rows that a table no longer has: retention removed its partitions before a date. Noted before it is done."""

    __tablename__ = "expirations"

    pipeline: Mapped[str] = mapped_column(String(63), primary_key=True)
    table_name: Mapped[str] = mapped_column(String(20), primary_key=True)
    before: Mapped[date] = mapped_column(primary_key=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    expired_at: Mapped[datetime]


class EndpointHealth(Base):
    """The circuit breaker of one model on one endpoint, shared by every run."""

    __tablename__ = "endpoint_health"

    endpoint: Mapped[str] = mapped_column(String(255), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    state: Mapped[str] = mapped_column(String(10))  # closed | open | half_open
    failures: Mapped[int] = mapped_column(default=0)
    probes: Mapped[int] = mapped_column(default=0)
    opened_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(Text, default="")
    updated_at: Mapped[datetime]
    generation: Mapped[int] = mapped_column(default=0)
