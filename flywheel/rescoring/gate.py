"""Lets old rows ask the model without getting in the way of new ones."""

from __future__ import annotations

from flywheel.inference.breaker import CircuitBreaker


class Bystander:
    """Heeds a circuit that ``infer`` shares, and probes it while it is half open, but never opens a closed one.

    Rows that the model can't answer are tried by each ``rescore``; were their failures counted, new records would get a
    fallback for them. After as many failures in a row as open the circuit, nothing more is sent from here.
    """

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self._in_a_row = 0

    @property
    def has_given_up(self) -> bool:
        return self._in_a_row >= self.breaker.config.failure_threshold

    def allow(self) -> bool:
        return not self.has_given_up and self.breaker.allow()

    def success(self) -> None:
        self._in_a_row = 0
        self.breaker.success()

    def failure(self, error: str) -> None:
        self._in_a_row += 1
        if self.breaker.health().state == "half_open":
            self.breaker.failure(error)

    def refusal(self) -> str:
        if self.has_given_up:
            return f"not sent: {self._in_a_row} requests in a row have failed"
        return self.breaker.refusal()
