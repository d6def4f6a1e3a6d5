"""Drift checks and what they led to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flywheel.errors import FlywheelError, not_found
from flywheel.metadata.database import Database
from flywheel.metadata.schema import DriftCheck, Retraining


@dataclass(frozen=True)
class FeatureDrift:
    """What was measured on one feature, as a whole or in a ``slice`` that has a ``share`` of the window's rows.

    ``seasonal`` is whether it was compared with the window's seasons; ``ratio`` the worst measure over its threshold.
    ``p_value`` is that of the surest ``question`` (values, missing, unseen), adjusted for all the others of the check;
    ``corrected`` the measures without what chance adds to them. Checks from before there were any have none.
    """

    feature: str
    slice: str | None
    share: float
    seasonal: bool
    severity: str
    question: str | None
    p_value: float | None
    significant: bool
    worst_measure: str | None
    threshold: float | None
    ratio: float | None
    measures: dict[str, float | None]
    corrected: dict[str, float | None]

    @property
    def title(self) -> str:
        """The feature, and where a slice is meant, which."""
        return self.feature if self.slice is None else f"{self.feature} where {self.slice}"


@dataclass(frozen=True)
class JointDrift:
    """What several features show together: a ``domain_classifier``'s AUC, or the cosine distance of an ``embedding``.

    ``features`` are those that the classifier goes by, or the embedding's components; ``why_not`` says why it was not
    asked, and there is no ``value`` and no ``p_value`` (adjusted for the other questions of the check) then.
    """

    test: str
    name: str
    severity: str
    value: float | None
    p_value: float | None
    significant: bool
    features: list[str]
    why_not: str | None


@dataclass(frozen=True)
class Check:
    """A drift check.

    ``retraining`` is what the retrain it asked for came to (None: none was asked for or has begun); ``harm`` whether
    the model loses (None: not looked at); ``alert_id`` the check that opened the alert which this one belongs to.
    """

    id: str
    pipeline: str
    as_of: datetime
    outcome: str
    severity: str
    action: str
    reason: str
    baseline_id: str
    first_batch: int
    last_batch: int
    rows: int
    harm: str | None
    alert_id: str | None
    notice: str
    retraining: str | None
    features: list[FeatureDrift]
    joint: list[JointDrift]

    @property
    def is_unresolved(self) -> bool:
        """Whether it found drift, asked for a retrain, and no retrain has been done."""
        return self.action == "retrain" and self.retraining in (None, "running")


def latest_check(database: Database, pipeline: str) -> Check | None:
    """Return the newest drift check of a pipeline, or None."""
    return next(iter(check_history(database, pipeline, limit=1)), None)


def find_check(database: Database, check_id: str) -> Check:
    """Return the drift check with this id, or whose id is the only one to end with it; FlywheelError otherwise."""
    ends_so = select(DriftCheck).where(DriftCheck.id.endswith(check_id, autoescape=True)).limit(2)
    with database.session() as session:
        row = session.get(DriftCheck, check_id)
        found = [row] if row is not None else list(session.scalars(ends_so))
        if len(found) == 1:
            return _check(session, found[0])
    if found:
        raise FlywheelError(
            f"{check_id!r} is the end of more than one drift check's id",
            next_step=f"write more of it, e.g. {found[0].id}",
        )
    raise not_found("drift check", check_id, [], next_step="flywheel drift history --json")


def check_history(database: Database, pipeline: str | None, limit: int) -> list[Check]:
    """Return the newest ``limit`` drift checks, newest first; None for all pipelines."""
    wanted = select(DriftCheck).order_by(DriftCheck.as_of.desc(), DriftCheck.last_batch.desc()).limit(limit)
    if pipeline is not None:
        wanted = wanted.where(DriftCheck.pipeline == pipeline)
    with database.session() as session:
        return [_check(session, row) for row in session.scalars(wanted)]


def _check(session: Session, row: DriftCheck) -> Check:
    retraining = session.get(Retraining, (row.pipeline, row.id))
    return Check(
        id=row.id,
        pipeline=row.pipeline,
        as_of=row.as_of,
        outcome=row.outcome,
        severity=row.severity,
        action=row.action,
        reason=row.reason,
        baseline_id=row.baseline_id,
        first_batch=row.first_batch,
        last_batch=row.last_batch,
        rows=row.rows,
        harm=row.harm,
        alert_id=row.alert_id,
        notice=row.notice,
        retraining=(retraining.outcome or retraining.status) if retraining else None,
        features=[_feature(finding) for finding in row.measures],
        joint=[_joint(finding) for finding in row.joint or []],
    )


def _joint(finding: dict[str, Any]) -> JointDrift:
    return JointDrift(
        test=finding["test"],
        name=finding["name"],
        severity=finding["severity"],
        value=finding["value"],
        p_value=finding["adjusted_p"],
        significant=finding["significant"],
        features=finding["features"],
        why_not=finding["why_not"],
    )


def _feature(finding: dict[str, Any]) -> FeatureDrift:
    return FeatureDrift(
        feature=finding["feature"],
        slice=finding.get("slice"),
        share=finding.get("share", 1.0),
        seasonal=finding.get("seasonal", False),
        severity=finding["severity"],
        question=finding.get("question"),
        p_value=finding.get("adjusted_p"),
        significant=finding.get("significant", False),
        worst_measure=finding["worst_measure"],
        threshold=finding["threshold"],
        ratio=finding["ratio"],
        measures=finding["measures"],
        corrected=finding.get("corrected", {}),
    )
