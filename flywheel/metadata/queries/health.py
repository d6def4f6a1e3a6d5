"""Is the loop turning? What is known of each pipeline, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from flywheel.manifest.pipeline import Pipeline
from flywheel.metadata.database import Database
from flywheel.metadata.queries.deliveries import Undelivered, undelivered_batches
from flywheel.metadata.queries.drift_checks import latest_check
from flywheel.metadata.queries.fallbacks import waiting_rows
from flywheel.metadata.queries.pipelines import pipeline_names
from flywheel.metadata.revisions import Revisions
from flywheel.metadata.schema import Batch, EndpointHealth, ModelVersion

STUCK_AFTER = timedelta(hours=1)
QUARANTINE_LIMIT = 0.05
FALLBACK_LIMIT = 0.05
RECENT_BATCHES = 20


@dataclass(frozen=True)
class BreakerState:
    """The circuit breaker of an endpoint: closed (it answers), open (it is left alone) or half_open (it is probed)."""

    endpoint: str
    state: str
    failures: int
    last_error: str


@dataclass(frozen=True)
class LastCheck:
    """The newest drift check, in short."""

    id: str
    as_of: datetime
    outcome: str
    severity: str
    action: str


@dataclass(frozen=True)
class PipelineHealth:
    """The state of one pipeline; it is healthy where ``problems`` is empty.

    The shares are of the last batches' records: ``quarantine_share`` was refused by a rule, ``fallback_share`` got a
    fallback's answer, or none, and has not been scored since. ``waiting_rows``, of all batches, can be.
    """

    pipeline: str
    healthy: bool
    problems: list[str]
    enabled: bool
    last_batch: int | None
    last_committed_at: datetime | None
    last_batch_age_seconds: float | None
    backlog: int
    quarantine_share: float | None
    fallback_share: float | None
    waiting_rows: int
    breakers: list[BreakerState]
    undelivered: list[Undelivered]
    last_drift_check: LastCheck | None
    model_id: str
    champion: int | None


@dataclass(frozen=True)
class WorkspaceHealth:
    """The state of every pipeline in service."""

    healthy: bool
    pipelines: list[PipelineHealth]


@dataclass(frozen=True)
class _Batches:
    last: int | None
    committed_at: datetime | None
    backlog: int
    oldest_planned_at: datetime | None
    quarantine_share: float | None
    fallback_share: float | None
    waiting_rows: int


def workspace_health(database: Database, now: datetime) -> WorkspaceHealth:
    """Return the health of every pipeline in service; a workspace without one is healthy."""
    pipelines = [pipeline_health(database, name, now) for name in pipeline_names(database)]
    return WorkspaceHealth(all(each.healthy for each in pipelines), pipelines)


def pipeline_health(database: Database, name: str, now: datetime) -> PipelineHealth:
    """Return the health of the pipeline called ``name`` at the time ``now`` of the wall clock."""
    pipeline = Revisions(database).current(name).pipeline
    batches = _batches(database, name)
    breakers = _breakers(database, pipeline.inference.model_id)
    undelivered = undelivered_batches(database, pipeline)
    champion = _champion(database, pipeline.inference.model_id)
    problems = [
        *_batch_problems(batches, now),
        *_fallback_problems(batches, name),
        *_breaker_problems(breakers),
        *(f"sink {each.sink} has yet to get {each.batches} batches" for each in undelivered),
        *_model_problems(pipeline, champion),
        *_drift_problems(database, name),
    ]
    check = latest_check(database, name)
    return PipelineHealth(
        pipeline=name,
        healthy=not problems,
        problems=problems,
        enabled=pipeline.spec.enabled,
        last_batch=batches.last,
        last_committed_at=batches.committed_at,
        last_batch_age_seconds=(now - batches.committed_at).total_seconds() if batches.committed_at else None,
        backlog=batches.backlog,
        quarantine_share=batches.quarantine_share,
        fallback_share=batches.fallback_share,
        waiting_rows=batches.waiting_rows,
        breakers=breakers,
        undelivered=undelivered,
        last_drift_check=LastCheck(check.id, check.as_of, check.outcome, check.severity, check.action)
        if check
        else None,
        model_id=pipeline.inference.model_id,
        champion=champion,
    )


def _batches(database: Database, name: str) -> _Batches:
    mine = (Batch.pipeline == name, Batch.feed == "records")
    recent = select(Batch).where(*mine, Batch.status == "committed").order_by(Batch.number.desc()).limit(RECENT_BATCHES)
    planned = select(func.count(), func.min(Batch.planned_at)).where(*mine, Batch.status == "planned")
    waiting = select(func.coalesce(func.sum(waiting_rows()), 0)).where(*mine, Batch.status == "committed")
    with database.session() as session:
        committed = session.scalars(recent).all()
        backlog, oldest = session.execute(planned).one()
        rows_waiting = session.execute(waiting).scalar_one()
    counts: Counter[str] = Counter()
    for batch in committed:
        counts.update(batch.counts)
    records = counts["records"]
    quarantined = counts["quarantined"] - counts["dead_letters"]
    unanswered = counts["fallback"] + counts["dead_letters"] - counts["rescored"]
    return _Batches(
        last=committed[0].number if committed else None,
        committed_at=committed[0].committed_at if committed else None,
        backlog=backlog,
        oldest_planned_at=oldest,
        quarantine_share=quarantined / records if records else None,
        fallback_share=unanswered / records if records else None,
        waiting_rows=rows_waiting,
    )


def _breakers(database: Database, model_id: str) -> list[BreakerState]:
    wanted = select(EndpointHealth).where(EndpointHealth.model_id == model_id).order_by(EndpointHealth.endpoint)
    with database.session() as session:
        return [BreakerState(row.endpoint, row.state, row.failures, row.last_error) for row in session.scalars(wanted)]


def _champion(database: Database, model_id: str) -> int | None:
    wanted = select(ModelVersion.version).where(ModelVersion.model_id == model_id, ModelVersion.status == "champion")
    with database.session() as session:
        return session.scalar(wanted)


def _batch_problems(batches: _Batches, now: datetime) -> Iterator[str]:
    if batches.oldest_planned_at is not None and now - batches.oldest_planned_at > STUCK_AFTER:
        yield f"a batch planned at {batches.oldest_planned_at:%Y-%m-%d %H:%M} UTC is not committed: run infer again"
    if batches.quarantine_share is not None and batches.quarantine_share > QUARANTINE_LIMIT:
        yield f"{batches.quarantine_share:.1%} of the last batches' records were quarantined"


def _fallback_problems(batches: _Batches, name: str) -> Iterator[str]:
    if batches.fallback_share is not None and batches.fallback_share > FALLBACK_LIMIT:
        yield (
            f"{batches.fallback_share:.1%} of the last batches' records have no prediction of the model: "
            f"flywheel run rescore -p {name}"
        )


def _breaker_problems(breakers: list[BreakerState]) -> Iterator[str]:
    for breaker in breakers:
        if breaker.state != "closed":
            yield f"the circuit to {breaker.endpoint} is {breaker.state}: {breaker.last_error or 'no error recorded'}"


def _model_problems(pipeline: Pipeline, champion: int | None) -> Iterator[str]:
    if champion is None and pipeline.training is not None:
        yield f"model {pipeline.inference.model_id} has no champion: flywheel run retrain -p {pipeline.name}"


def _drift_problems(database: Database, name: str) -> Iterator[str]:
    check = latest_check(database, name)
    if check is not None and check.is_unresolved:
        yield f"drift ({check.severity}) asked for a retrain that is not done: {check.reason}"
