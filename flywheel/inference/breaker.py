"""The circuit breaker of one model on one endpoint, shared through the metadata database by every run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol, cast

from sqlalchemy import update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import IntegrityError

from flywheel.inference.health import Health, State, admit, fail, succeed, wait_seconds
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig
from flywheel.metadata.database import Database
from flywheel.metadata.schema import EndpointHealth


class Gate(Protocol):
    """Decides request by request whether to send it, and learns how it went."""

    def allow(self) -> bool: ...
    def success(self) -> None: ...
    def failure(self, error: str) -> None: ...
    def refusal(self) -> str: ...


class OpenGate:
    """Lets everything through."""

    def allow(self) -> bool:
        return True

    def success(self) -> None:
        return

    def failure(self, error: str) -> None:
        return

    def refusal(self) -> str:
        return ""


class CircuitBreaker:
    """A circuit breaker whose state survives the process.

    Every change is a compare-and-swap on the row's ``generation``. A healthy endpoint costs no write, and a read only
    when what is known is older than ``fresh_seconds``.

    Parameters
    ----------
    endpoint, model_id
        What the state is kept for.
    clock
        Tells the present time, in UTC.
    fresh_seconds
        How long a closed circuit is believed to be closed without looking at the database again.
    longest_seconds
        How long a request can take; a probe is not given up before that.
    """

    def __init__(
        self,
        database: Database,
        endpoint: str,
        model_id: str,
        config: BreakerConfig,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        fresh_seconds: float = 1.0,
        longest_seconds: float = 0.0,
    ) -> None:
        self.database = database
        self.endpoint = endpoint
        self.model_id = model_id
        self.config = config
        self.clock = clock
        self._longest = longest_seconds
        self._fresh = timedelta(seconds=fresh_seconds)
        self._known = Health()
        self._known_at: datetime | None = None

    def allow(self) -> bool:
        """Whether a request may be sent now; while half open, True also reserves one of the probes."""
        if self._is_known() and self._known.state == "closed":
            return True
        return self._change(lambda health, now: admit(health, now, self.config, self._longest)) is not None

    def success(self) -> None:
        """Note that a request was answered."""
        if not (self._is_known() and succeed(self._known, self.clock()) == self._known):
            self._change(succeed)

    def failure(self, error: str) -> None:
        """Note that a request failed."""
        self._change(lambda health, now: fail(health, now, self.config, error))

    def health(self) -> Health:
        """Return the stored state."""
        return self._read()[0]

    def refusal(self) -> str:
        """Say why ``allow`` was False."""
        health = self._known
        if health.state == "half_open":
            return f"not sent: the circuit to {self.endpoint} is half open and waits for a probe"
        wait = timedelta(seconds=wait_seconds(health, self.config, self._longest))
        until = (health.opened_at or self.clock()) + wait
        return (
            f"not sent: the circuit to {self.endpoint} is open after {health.failures} failures, "
            f"until {until:%Y-%m-%dT%H:%M:%SZ}; the last one: {health.last_error}"
        )

    def _change(self, step: Callable[[Health, datetime], Health | None]) -> Health | None:
        """Take a step from the stored state; when another process took one meanwhile, from the state it left."""
        while True:
            before, generation = self._read()
            now = self.clock()
            after = step(before, now)
            if after is None or after == before:
                self._known, self._known_at = before, now
                return after
            if self._write(after, generation, now):
                self._known, self._known_at = after, now
                return after

    def _read(self) -> tuple[Health, int | None]:
        with self.database.session() as session:
            row = session.get(EndpointHealth, (self.endpoint, self.model_id))
        if row is None:
            return Health(), None
        health = Health(
            state=cast("State", row.state),
            failures=row.failures,
            probes=row.probes,
            opened_at=row.opened_at,
            changed_at=row.updated_at,
            last_error=row.last_error,
        )
        return health, row.generation

    def _write(self, health: Health, generation: int | None, now: datetime) -> bool:
        key = {"endpoint": self.endpoint, "model_id": self.model_id}
        values = {
            "state": health.state,
            "failures": health.failures,
            "probes": health.probes,
            "opened_at": health.opened_at,
            "last_error": health.last_error,
            "updated_at": health.changed_at or now,
            "generation": (generation or 0) + 1,
        }
        if generation is None:
            return self._insert(EndpointHealth(**key, **values))
        swap = update(EndpointHealth).filter_by(**key, generation=generation).values(**values)
        with self.database.session() as session:
            result = cast("CursorResult[tuple[()]]", session.execute(swap))
            return result.rowcount == 1

    def _insert(self, row: EndpointHealth) -> bool:
        try:
            with self.database.session() as session:
                session.add(row)
        except IntegrityError:  # another process was first
            return False
        return True

    def _is_known(self) -> bool:
        return self._known_at is not None and self._known_at <= self.clock() < self._known_at + self._fresh
