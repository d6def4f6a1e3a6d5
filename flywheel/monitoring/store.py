"""Stores a drift check with its decision and what it means for the pipeline's alert: all of it, once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flywheel.context import PipelineContext
from flywheel.drift.alerts import Alert, follow
from flywheel.drift.check import Findings
from flywheel.manifest.drift import DriftConfig
from flywheel.metadata.schema import DriftAlert, DriftCheck
from flywheel.monitoring.action import Alarm, action_of, checked
from flywheel.monitoring.harm import Harm
from flywheel.monitoring.window import Window


@dataclass(frozen=True)
class Undecided:
    """A check before what is to be done about it is known, which depends on the alert and on the last action."""

    check_id: str
    as_of: datetime
    baseline_id: str
    window: Window
    findings: Findings
    harm: Harm | None
    alarm: Alarm


def store_check(context: PipelineContext, config: DriftConfig, check: Undecided) -> tuple[DriftCheck, bool]:
    """Decide and insert, in one transaction; return the stored check, and whether it is new.

    If this window was decided before, that decision stands.
    """
    try:
        with context.database.session() as session:
            return _insert(session, context.name, config, check), True
    except IntegrityError:
        with context.database.session() as session:
            return session.get_one(DriftCheck, check.check_id), False


def _insert(session: Session, pipeline: str, config: DriftConfig, check: Undecided) -> DriftCheck:
    found, alarm = check.findings, check.alarm
    stored = _open_alert(session, pipeline, check.as_of)
    alert, notice = follow(_alert(stored), checked(check.check_id, check.as_of, found, alarm), config.clear_after)
    action, reason = action_of(
        config, alarm, notice, _last_action(session, pipeline, check.as_of + config.cooldown), check.as_of
    )
    row = DriftCheck(
        id=check.check_id,
        pipeline=pipeline,
        as_of=check.as_of,
        baseline_id=check.baseline_id,
        first_batch=check.window.first_batch,
        last_batch=check.window.last_batch,
        rows=check.window.rows,
        outcome=found.outcome,
        severity=alarm.severity,
        action=action,
        reason=reason,
        measures=[finding.model_dump(mode="json") for finding in found.features],
        joint=[each.model_dump(mode="json") for each in found.joint] or None,
        harm=check.harm.verdict if check.harm else None,
        decay=asdict(check.harm.decay) if check.harm and check.harm.decay else None,
        alert_id=alert.id if alert else None,
        notice=notice,
        checked_at=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    if alert is not None:
        session.merge(DriftAlert(pipeline=pipeline, **asdict(alert)))
    return row


def _open_alert(session: Session, pipeline: str, as_of: datetime) -> DriftAlert | None:
    """The alert that is open at a time; locked, since another check may be about to close it."""
    is_open = (
        select(DriftAlert)
        .where(DriftAlert.pipeline == pipeline, DriftAlert.resolved_at.is_(None), DriftAlert.opened_at <= as_of)
        .order_by(DriftAlert.opened_at.desc())
        .limit(1)
        .with_for_update()
    )
    return session.scalar(is_open)


def _alert(row: DriftAlert | None) -> Alert | None:
    if row is None:
        return None
    return Alert(
        id=row.id,
        opened_at=row.opened_at,
        severity=row.severity,  # type: ignore[arg-type]
        checks=row.checks,
        clean=row.clean,
        resolved_at=row.resolved_at,
    )


def _last_action(session: Session, pipeline: str, until: datetime) -> datetime | None:
    """The newest action before ``until``: a clock that was set back must not make one action two."""
    return session.scalar(
        select(DriftCheck.as_of)
        .where(DriftCheck.pipeline == pipeline, DriftCheck.action != "none", DriftCheck.as_of < until)
        .order_by(DriftCheck.as_of.desc())
        .limit(1)
    )
