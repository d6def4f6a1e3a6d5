"""Replays February to December in weekly steps of logical time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from deployments.demo.runner import run_what_is_due
from flows.check_drift import DriftSummary, check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.reconcile import reconcile
from flows.retrain import retrain
from flywheel.metadata.database import Database
from flywheel.metadata.schema import Retraining
from flywheel.workspace import Workspace

PIPELINE = "flight-delays"
# Midnight in New York.
START = datetime(2013, 2, 1, 5, tzinfo=UTC)
END = datetime(2014, 1, 1, 5, tzinfo=UTC)
STEP = timedelta(days=7)
# A landing is known two days after the last departure at the latest.
LAST_FEEDBACK = END + timedelta(days=3)
_EVENT_SECONDS = 60.0

Say = Callable[[str], None]


def replay(workspace: Workspace, say: Say) -> None:
    """Train the first champion on January, then turn the loop week by week."""
    # A heartbeat is for long runs that may be lost; its thread would add a second to each of these short ones.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        first = retrain(PIPELINE, as_of=START)
        say(f"{START:%d %b}  first champion, trained on January: {first.reason}")
        database = workspace.database()
        for as_of in _weeks():
            _turn(database, as_of, say)
        join_feedback(PIPELINE, as_of=LAST_FEEDBACK)


def _weeks() -> Iterator[datetime]:
    as_of = START
    while as_of < END:
        as_of = min(as_of + STEP, END)
        yield as_of


def _turn(database: Database, as_of: datetime, say: Say) -> None:
    scored = infer(PIPELINE, as_of=as_of)
    labelled = join_feedback(PIPELINE, as_of=as_of)
    check = check_drift(PIPELINE, as_of=as_of)
    line = f"{as_of:%d %b}  {scored.ok:>6,} flights scored, {labelled.labelled:>6,} labelled, drift {check.severity}"
    if check.action == "retrain":
        line += f" → {_run_retrain(database, check)}"
    say(line)


def _run_retrain(database: Database, check: DriftSummary) -> str:
    """Run what the drift event makes Prefect schedule; if the event was lost, reconcile, as the schedule would."""
    asked = time.monotonic()
    while (row := _finished(database, check.check_id)) is None:
        if time.monotonic() - asked > _EVENT_SECONDS:
            reconcile(PIPELINE)
        elif not run_what_is_due():
            time.sleep(0.05)
    return f"{row.outcome}: {row.reason}"


def _finished(database: Database, key: str) -> Retraining | None:
    with database.session() as session:
        row = session.get(Retraining, (PIPELINE, key))
    return row if row is not None and row.status == "done" else None
