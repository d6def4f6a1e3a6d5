"""Checks the newest window of a pipeline, decides what to do, and stores the decision.

The stored decision is the truth: the event that follows it may be lost, and ``flows/reconcile.py`` makes up for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from flywheel.context import PipelineContext, at
from flywheel.drift.alerts import Notice
from flywheel.drift.baseline import Baseline
from flywheel.drift.check import Findings, check_window
from flywheel.drift.evidence.budget import level
from flywheel.drift.severity import Severity
from flywheel.errors import FlywheelError
from flywheel.manifest.drift import DriftConfig
from flywheel.monitoring.action import Action, Alarm, alarm_of
from flywheel.monitoring.elapsed import elapsed_since_check
from flywheel.monitoring.harm import Harm, assess_harm
from flywheel.monitoring.joint import ask_jointly
from flywheel.monitoring.reference import require_baseline
from flywheel.monitoring.store import Undecided, store_check
from flywheel.monitoring.window import Window, latest_window


@dataclass(frozen=True)
class Decision:
    """A drift check: what was found in which window, whether it matters, and what is to be done about it.

    ``notice`` is what the check means for the pipeline's alert; ``harm`` is None where the manifest acts on any drift.
    ``counts`` is the window's profile, for the picture. ``is_new`` is False when this window had been decided before.
    """

    check_id: str
    pipeline: str
    as_of: datetime
    baseline: Baseline
    window: Window
    findings: Findings
    harm: Harm | None
    severity: Severity
    notice: Notice
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
    champion = context.registry.champion(context.pipeline.inference.model_id)
    config = config.weighed_by(champion.card.importance if champion else {})
    baseline = require_baseline(context, champion.version if champion else None)
    window = latest_window(context.tables.profiles, baseline.id, config, as_of)
    alpha = level(config.budget, elapsed_since_check(context.database, context.name, config.window, as_of))
    joint = ask_jointly(context, config, baseline, window)
    findings = check_window(baseline, window.counts, window.rows, config, alpha, joint)
    harm = assess_harm(context, champion, as_of, alpha) if config.acts_on == "harm" else None
    check_id = f"{context.name}.{baseline.id}.{_key(window, as_of)}"
    undecided = Undecided(
        check_id, as_of, baseline.id, window, findings, harm, _alarm(config, window, findings, harm, as_of)
    )
    row, is_new = store_check(context, config, undecided)
    return Decision(
        check_id=row.id,
        pipeline=row.pipeline,
        as_of=row.as_of,
        baseline=baseline,
        window=window,
        findings=findings,
        harm=harm,
        severity=row.severity,  # type: ignore[arg-type]
        notice=row.notice,  # type: ignore[arg-type]
        action=row.action,  # type: ignore[arg-type]
        reason=row.reason,
        is_new=is_new,
    )


def _key(window: Window, as_of: datetime) -> str:
    """Tell windows apart: by their batches; an empty one says nothing about the next empty one."""
    if window.rows == 0:
        return f"{as_of:%Y%m%dT%H%M%SZ}"
    return f"{window.first_batch}-{window.last_batch}"


def _alarm(config: DriftConfig, window: Window, findings: Findings, harm: Harm | None, as_of: datetime) -> Alarm:
    if window.rows == 0 and config.window is not None:
        return Alarm(False, "none", f"no predictions on events between {at(as_of - config.window)} and {at(as_of)}")
    return alarm_of(findings, harm)
