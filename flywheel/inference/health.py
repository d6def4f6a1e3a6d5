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
        Requests that were let through while half open and have not answered yet.
    changed_at
        When the state last changed; None for an endpoint that was never in trouble.
    """

    state: State = "closed"
    failures: int = 0
    probes: int = 0
    opened_at: datetime | None = None
    changed_at: datetime | None = None
    last_error: str = ""


def admit(health: Health, now: datetime, config: BreakerConfig) -> Health | None:
    """Return the state after letting one request through, or None when it must not be sent."""
    if health.state == "closed":
        return health
    probing = health.state == "half_open"
    if probing and health.probes < config.half_open_requests:
        return replace(health, probes=health.probes + 1, changed_at=now)
    # A half-open circuit is old when the process that sent the probe died before the answer.
    if _is_old(health.changed_at if probing else health.opened_at, now, config):
        return replace(health, state="half_open", probes=1, changed_at=now)
    return None


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
        health, failures=health.failures + 1, probes=0, changed_at=now, last_error=error[:_MAX_ERROR_LENGTH]
    )
    if health.state == "half_open" or failed.failures >= config.failure_threshold:
        return replace(failed, state="open", opened_at=now)
    return failed


def _is_old(since: datetime | None, now: datetime, config: BreakerConfig) -> bool:
    # A clock that was set back must not keep the circuit open until it catches up.
    waiting = timedelta(0) <= now - since < timedelta(seconds=config.reset_timeout_seconds) if since else False
    return not waiting
