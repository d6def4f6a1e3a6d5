"""Checks the newest window of a pipeline, decides what to do, and stores the decision.

The stored decision is the truth: the event that follows it may be lost, and ``flows/reconcile.py`` makes up for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import polars as pl
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flywheel.context import PipelineContext, at
from flywheel.drift.baseline import Baseline
from flywheel.drift.check import Findings, check_window
from flywheel.errors import FlywheelError
from flywheel.manifest.drift import DriftConfig
from flywheel.metadata.schema import DriftCheck
from flywheel.monitoring.reference import find_baseline
from flywheel.monitoring.window import Window, latest_window

Action = Literal["none", "alert", "retrain", "fallback"]


@dataclass(frozen=True)
class Decision:
    """A drift check: what was found in which window, and what is to be done about it.

    ``counts`` is the window's profile, for the picture. ``is_new`` is False when this window had been decided before.
    """

    check_id: str
    pipeline: str
    as_of: datetime
    baseline: Baseline
    window: Window
    findings: Findings
    action: Action
    reason: str
    is_new: bool

    @property
    def counts(self) -> pl.DataFrame:
        return self.window.counts


def check_drift(context: PipelineContext, as_of: datetime) -> Decision:
    """Check the newest window known at ``as_of`` and store the decision; the same window is decided once."""
    config = context.pipeline.drift
    if config is None:
        raise FlywheelError(
            f"pipeline {context.name!r} has no drift-detection stage",
            next_step="add a stage of type drift-detection to its manifest",
        )
    baseline = _baseline(context)
    window = latest_window(context.tables.profiles, baseline.id, config, as_of)
    findings = check_window(baseline, window.counts, window.rows, config)
    action, reason = _decide(context, config, window, findings, as_of)
    decision = Decision(
        check_id=f"{context.name}.{baseline.id}.{_key(window, as_of)}",
        pipeline=context.name,
        as_of=as_of,
        baseline=baseline,
        window=window,
        findings=findings,
        action=action,
        reason=reason,
        is_new=True,
    )
    return _store(context, decision)


def _key(window: Window, as_of: datetime) -> str:
    """Tell windows apart: by their batches; an empty one says nothing about the next empty one."""
    if window.rows == 0:
        return f"{as_of:%Y%m%dT%H%M%SZ}"
    return f"{window.first_batch}-{window.last_batch}"


def _baseline(context: PipelineContext) -> Baseline:
    model_id = context.pipeline.inference.model_id
    champion = context.registry.champion(model_id)
    baseline = find_baseline(context, model_id, champion.version if champion else None)
    if baseline is None:
        raise FlywheelError(
            f"pipeline {context.name!r} has no baseline: model {model_id!r} has none and none is at baseline_uri",
            state="nothing was checked",
            next_step=f"flywheel run retrain -p {context.name}, or put a baseline at the manifest's baseline_uri",
        )
    return baseline


def _decide(
    context: PipelineContext, config: DriftConfig, window: Window, findings: Findings, as_of: datetime
) -> tuple[Action, str]:
    if window.rows == 0 and config.window is not None:
        return "none", f"no predictions on events between {at(as_of - config.window)} and {at(as_of)}"
    if findings.outcome != "drift":
        return "none", findings.reason
    if config.mode == "shadow":
        return "none", f"{findings.reason}; mode shadow measures and never acts"
    last = _last_action(context, as_of + config.cooldown)
    if last is not None and config.on_drift != "fallback" and as_of < last + config.cooldown:
        return "none", f"{findings.reason}; cooling down until {at(last + config.cooldown)}"
    return config.on_drift, findings.reason


def _last_action(context: PipelineContext, until: datetime) -> datetime | None:
    """The newest action before ``until``: a clock that was set back must not make one action two."""
    newest = (
        select(DriftCheck.as_of)
        .where(DriftCheck.pipeline == context.name, DriftCheck.action != "none", DriftCheck.as_of < until)
        .order_by(DriftCheck.as_of.desc())
        .limit(1)
    )
    with context.database.session() as session:
        return session.scalar(newest)


def _store(context: PipelineContext, decision: Decision) -> Decision:
    """Insert the decision; if this window was decided before, that decision stands."""
    row = DriftCheck(
        id=decision.check_id,
        pipeline=decision.pipeline,
        as_of=decision.as_of,
        baseline_id=decision.baseline.id,
        first_batch=decision.window.first_batch,
        last_batch=decision.window.last_batch,
        rows=decision.window.rows,
        outcome=decision.findings.outcome,
        severity=decision.findings.severity,
        action=decision.action,
        reason=decision.reason,
        measures=[finding.model_dump(mode="json") for finding in decision.findings.features],
        checked_at=datetime.now(UTC),
    )
    try:
        with context.database.session() as session:
            session.add(row)
    except IntegrityError:
        return _decided_before(context, decision)
    return decision


def _decided_before(context: PipelineContext, decision: Decision) -> Decision:
    with context.database.session() as session:
        row = session.get_one(DriftCheck, decision.check_id)
    return Decision(
        check_id=row.id,
        pipeline=row.pipeline,
        as_of=row.as_of,
        baseline=decision.baseline,
        window=decision.window,
        findings=decision.findings,
        action=row.action,  # type: ignore[arg-type]
        reason=row.reason,
        is_new=False,
    )
