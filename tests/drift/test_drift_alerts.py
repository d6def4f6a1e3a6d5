"""A drift is told once, told again when it gets worse, and told to be over when it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flywheel.drift.alerts import Alert, Checked, Notice, follow
from flywheel.drift.check import Outcome
from flywheel.drift.severity import SEVERITIES, Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
DRIFT = st.tuples(st.just("drift"), st.sampled_from(SEVERITIES[2:]))
OTHER = st.tuples(st.sampled_from(["no_drift", "not_enough_data"]), st.just("none"))
HISTORY = st.lists(DRIFT | OTHER, max_size=40)


def play(history: list[tuple[Outcome, Severity]], clear_after: int) -> list[tuple[Alert | None, Notice]]:
    alert, told = None, []
    for number, (outcome, severity) in enumerate(history):
        alert = alert if alert is not None and alert.is_open else None
        checked = Checked(f"check-{number}", START + timedelta(hours=number), outcome, severity)
        alert, notice = follow(alert, checked, clear_after)
        told.append((alert, notice))
    return told


def test_one_drift_is_told_once_and_then_that_it_is_over() -> None:
    history: list[tuple[Outcome, Severity]] = [
        ("drift", "medium"),
        ("drift", "medium"),
        ("no_drift", "none"),
        ("drift", "low"),
        ("drift", "critical"),
        ("not_enough_data", "none"),
        ("no_drift", "none"),
        ("no_drift", "none"),
        ("no_drift", "none"),
    ]
    told = play(history, clear_after=2)
    assert [notice for _, notice in told] == [
        "opened", "ongoing", "none", "ongoing", "worsened", "none", "none", "resolved", "none"
    ]  # fmt: skip
    last = told[7][0]
    assert last is not None
    assert (last.id, last.checks, last.severity) == ("check-0", 4, "critical")
    assert last.resolved_at == START + timedelta(hours=7)


@given(HISTORY, st.integers(1, 4))
def test_every_alert_is_opened_once_and_resolved_at_most_once(
    history: list[tuple[Outcome, Severity]], clear_after: int
) -> None:
    told = play(history, clear_after)
    notices = [notice for _, notice in told if notice in ("opened", "resolved")]
    assert notices == [("opened", "resolved")[number % 2] for number in range(len(notices))]
    # Whoever hears only of openings and worsenings knows how bad it is at any time.
    heard: Severity = "none"
    for alert, notice in told:
        if notice == "opened" or notice == "worsened":
            assert alert is not None
            heard = alert.severity
        if alert is not None and alert.is_open:
            assert heard == alert.severity


@given(HISTORY)
def test_what_lacks_data_changes_nothing(history: list[tuple[Outcome, Severity]]) -> None:
    known = [check for check in history if check[0] != "not_enough_data"]
    assert [notice for _, notice in play(known, 2)] == [
        notice for (_, notice), check in zip(play(history, 2), history, strict=True) if check[0] != "not_enough_data"
    ]
