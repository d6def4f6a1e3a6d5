from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import event

from flywheel.inference.breaker import CircuitBreaker
from flywheel.manifest.inference import CircuitBreaker as BreakerConfig
from flywheel.metadata.database import Database

START = datetime(2013, 2, 1, tzinfo=UTC)
CONFIG = BreakerConfig(failure_threshold=3, reset_timeout_seconds=30, half_open_requests=2)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def breaker_on(database: Database, clock: Clock, endpoint: str = "a:1", fresh: float = 0.0) -> CircuitBreaker:
    return CircuitBreaker(database, endpoint, "flights", CONFIG, clock, fresh_seconds=fresh)


class BreakerMachine(RuleBasedStateMachine):
    """Two processes share an endpoint. What each may send follows from what has been answered so far.

    Only requests whose permission was given in the present state are answered here; late answers have their own test.
    """

    def __init__(self, url: str, endpoint: str) -> None:
        super().__init__()
        self.url, self.endpoint = url, endpoint
        self.clock = Clock()
        self.breakers = [self._opened(), self._opened()]
        self.in_a_row = 0
        self.opened_at: datetime | None = None  # None: closed
        self.probed_at: datetime | None = None
        self.probes = 0
        self.left = 0  # probes on their way when the circuit opened again

    def _opened(self) -> CircuitBreaker:
        return breaker_on(Database(self.url), self.clock, self.endpoint)

    def _passed(self, since: datetime | None) -> bool:
        return since is not None and self.clock.now - since >= timedelta(seconds=30)

    @rule(which=st.integers(0, 1))
    def a_process_starts_anew(self, which):
        self.breakers[which].database.engine.dispose()
        self.breakers[which] = self._opened()

    @rule(seconds=st.sampled_from([1, 10, 29, 30, 31, 100]))
    def time_passes(self, seconds):
        self.clock.forward(seconds)

    @rule(which=st.integers(0, 1))
    def asks(self, which):
        allowed = self.breakers[which].allow()
        if self.opened_at is None:
            assert allowed
        elif self.probes == 0:
            assert allowed == self._passed(self.opened_at)
        else:
            assert allowed == (self.probes < 2 or self._passed(self.probed_at))
        if allowed and self.opened_at is not None:
            lost = self.probes == 2
            self.probes = 1 if lost else self.probes + 1
            self.probed_at, self.left = self.clock.now, 0

    @precondition(lambda self: self.opened_at is None or self.probes > 0)
    @rule(which=st.integers(0, 1))
    def a_request_is_answered(self, which):
        self.breakers[which].success()
        self.in_a_row, self.opened_at, self.probes = 0, None, 0

    @precondition(lambda self: self.opened_at is None or self.probes > 0)
    @rule(which=st.integers(0, 1))
    def a_request_fails(self, which):
        self.breakers[which].failure("DEADLINE_EXCEEDED")
        self.in_a_row += 1
        if self.in_a_row >= 3 or self.probes:
            self.opened_at, self.left, self.probes = self.clock.now, max(0, self.probes - 1), 0

    @invariant()
    def both_processes_see_the_same(self):
        first, second = (breaker.health() for breaker in self.breakers)
        assert first == second
        expected = "closed" if self.opened_at is None else "half_open" if self.probes else "open"
        assert (first.state, first.failures, first.probes) == (expected, self.in_a_row, self.probes or self.left)

    def teardown(self):
        for breaker in self.breakers:
            breaker.database.engine.dispose()


def test_the_circuit_follows_its_state_machine(database):
    numbers = count()
    run_state_machine_as_test(
        lambda: BreakerMachine(database.url.render_as_string(), f"host:{next(numbers)}"),
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_answers_to_requests_from_before_the_circuit_opened_change_nothing(database):
    clock = Clock()
    breaker = breaker_on(database, clock)
    for _ in range(3):
        breaker.failure("UNAVAILABLE")
    opened = breaker.health()
    clock.forward(10)
    breaker.failure("late failure")
    breaker.success()
    assert breaker.health() == opened


def test_the_state_outlives_the_process(database):
    clock = Clock()
    breaker = breaker_on(database, clock)
    for _ in range(3):
        breaker.failure("UNAVAILABLE: nobody there")
    script = (
        "import sys; from datetime import datetime, timedelta; from flywheel.inference.breaker import CircuitBreaker;"
        "from flywheel.metadata.database import Database; from flywheel.manifest.inference import CircuitBreaker as C;"
        "now = datetime.fromisoformat(sys.argv[2]); allow = lambda seconds: CircuitBreaker(Database(sys.argv[1]), "
        "'a:1', 'flights', C(reset_timeout_seconds=30), lambda: now + timedelta(seconds=seconds)).allow();"
        "print(allow(29), allow(30), allow(30))"
    )
    command = [sys.executable, "-c", script, database.url.render_as_string(), START.isoformat()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
    assert breaker.health().state == "half_open"


def test_failures_counted_at_once_are_all_counted(database):
    config = BreakerConfig(failure_threshold=1000)
    breakers = [CircuitBreaker(database, "a:1", "flights", config) for _ in range(8)]

    def fail(breaker: CircuitBreaker) -> None:
        for _ in range(5):
            breaker.failure("UNAVAILABLE")

    threads = [threading.Thread(target=fail, args=(breaker,)) for breaker in breakers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert breakers[0].health().failures == 40


def test_a_healthy_endpoint_costs_no_write_and_few_reads(database):
    statements: list[str] = []
    clock = Clock()
    breaker = breaker_on(database, clock, fresh=1.0)
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for _ in range(200):
        assert breaker.allow()
        breaker.success()
        clock.forward(0.01)
    selects = [text for text in statements if text.startswith("SELECT")]
    assert len(selects) <= 4
    assert {text.split()[0] for text in statements} <= {"SELECT", "BEGIN"}


def test_the_refusal_says_since_when_and_why(database):
    breaker = breaker_on(database, Clock())
    for _ in range(3):
        breaker.failure("UNAVAILABLE: nobody there")
    assert not breaker.allow()
    assert breaker.refusal() == (
        "not sent: the circuit to a:1 is open after 3 failures, until 2013-02-01T00:00:30Z; "
        "the last one: UNAVAILABLE: nobody there"
    )


def test_a_probe_is_not_given_up_before_its_deadline(database):
    """Else a server that hangs gets one more request at each reset timeout, beside those it has not answered."""
    clock = Clock()
    breaker = CircuitBreaker(database, "a:1", "flights", CONFIG, clock, fresh_seconds=0, longest_seconds=100)
    for _ in range(3):
        breaker.failure("DEADLINE_EXCEEDED")
    clock.forward(30)
    assert [breaker.allow() for _ in range(3)] == [True, True, False]
    clock.forward(99)
    assert not breaker.allow()
    clock.forward(1)
    assert [breaker.allow() for _ in range(3)] == [True, True, False]


def test_no_new_probes_beside_those_on_their_way(database):
    """One of two has failed, and the other may take longer than the reset timeout."""
    clock = Clock()
    breaker = CircuitBreaker(database, "a:1", "flights", CONFIG, clock, fresh_seconds=0, longest_seconds=100)
    for _ in range(3):
        breaker.failure("DEADLINE_EXCEEDED")
    clock.forward(30)
    assert [breaker.allow(), breaker.allow()] == [True, True]
    breaker.failure("DEADLINE_EXCEEDED")
    clock.forward(99)
    assert not breaker.allow()
    clock.forward(1)
    assert [breaker.allow() for _ in range(3)] == [True, True, False]


def test_a_clock_that_was_set_back_does_not_keep_the_circuit_open(database):
    clock = Clock()
    breaker = breaker_on(database, clock)
    for _ in range(3):
        breaker.failure("UNAVAILABLE")
    clock.forward(-3600)
    assert breaker.allow()
