"""The circuit breaker's state machine, as pure functions from one state to the next.

::

            failure_threshold failures in a row
    closed ──────────────────────────────────────► open
      ▲                                           │  ▲
      │ a probe succeeds      reset_timeout passed │  │ a probe fails
      └──────────────── half_open ◄────────────────┘  │
                            └─────────────────────────┘

Michael T. Nygard, *Release It!* (2nd ed., 2018), "Circuit Breaker".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from flywheel.manifest.inference import CircuitBreaker as BreakerConfig

State = Literal["closed", "open", "half_open"]
_MAX_ERROR_LENGTH = 2000


@dataclass(frozen=True)
class Health:
    """How an endpoint has answered lately.

    Attributes
    ----------
    failures
        Failures in a row.
    probes
        Requests that were let through while half open and have not answered yet; of an open circuit, those that had not
        when the first of them failed.
    changed_at
        When the state last changed; None for an endpoint that was never in trouble.
    """

    state: State = "closed"
    failures: int = 0
    probes: int = 0
    opened_at: datetime | None = None
    changed_at: datetime | None = None
    last_error: str = ""


def admit(health: Health, now: datetime, config: BreakerConfig, longest_seconds: float = 0.0) -> Health | None:
    """Return the state after letting one request through, or None when it must not be sent.

    Parameters
    ----------
    longest_seconds
        How long a request can take. After this long, and the reset timeout, no probe is on its way any more, whether it
        was answered or the process that sent it died: there may be new ones.
    """
    if health.state == "closed":
        return health
    if health.state == "half_open" and health.probes < config.half_open_requests:
        return replace(health, probes=health.probes + 1, changed_at=now)
    if _is_waiting(health.changed_at, now, wait_seconds(health, config, longest_seconds)):
        return None
    return replace(health, state="half_open", probes=1, changed_at=now)


def wait_seconds(health: Health, config: BreakerConfig, longest_seconds: float) -> float:
    """Return how long after its last change a circuit that is not closed lets a new probe through."""
    reset = config.reset_timeout_seconds
    return max(reset, longest_seconds) if health.probes else reset


def succeed(health: Health, now: datetime) -> Health:
    """Return the state after an answer; one that was asked for before the circuit opened changes nothing."""
    if health.state == "open" or health == Health(changed_at=health.changed_at):
        return health
    return Health(changed_at=now)


def fail(health: Health, now: datetime, config: BreakerConfig, error: str) -> Health:
    """Return the state after a failure; one that was asked for before the circuit opened changes nothing."""
    if health.state == "open":
        return health
    failed = replace(
        health,
        failures=health.failures + 1,
        probes=max(0, health.probes - 1),
        changed_at=now,
        last_error=error[:_MAX_ERROR_LENGTH],
    )
    if health.state == "half_open" or failed.failures >= config.failure_threshold:
        return replace(failed, state="open", opened_at=now)
    return failed


def _is_waiting(since: datetime | None, now: datetime, seconds: float) -> bool:
    # A clock that was set back must not keep the circuit open until it catches up.
    return since is not None and timedelta(0) <= now - since < timedelta(seconds=seconds)
