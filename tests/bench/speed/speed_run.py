"""Contenders side by side in one run: each in a process of its own, warmed up, then called in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

_WORKER = Path(__file__).with_name("speed_worker.py")
_QUIET = {
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, slots=True)
class Contender:
    """``function``: "module:function", called once with ``arguments`` (JSON) and giving what is measured.

    What that returns must be JSON too. ``python``: that of a peer's environment. ``variables``: for its environment.
    """

    name: str
    function: str
    arguments: Mapping[str, object]
    python: str = sys.executable
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over the runs: ``wall`` and ``cpu`` in seconds; ``peak``: the most memory the process ever held, bytes.

    ``returned``: what the last call returned.
    """

    wall: float
    cpu: float
    peak: int
    returned: object


def compare(contenders: Sequence[Contender], runs: int = 5, warm_ups: int = 1) -> dict[str, Cost]:
    """The cost of each, by name; one after the other in every round, so that what slows the machine slows them all.

    Raises
    ------
    RuntimeError
        A contender failed; with the end of what it printed.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(_started(contender)) for contender in contenders]
        for worker in workers:
            for _ in range(warm_ups):
                worker.call()
        rounds = [[worker.call() for worker in workers] for _ in range(runs)]
    return {each.name: _medians(calls) for each, calls in zip(contenders, zip(*rounds, strict=True), strict=True)}


def _medians(calls: Sequence[Cost]) -> Cost:
    return Cost(
        median(call.wall for call in calls), median(call.cpu for call in calls), calls[-1].peak, calls[-1].returned
    )


@dataclass(frozen=True, slots=True)
class _Worker:
    """A contender's process; a call is measured inside it."""

    name: str
    process: subprocess.Popen[str]

    def call(self) -> Cost:
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return Cost(**json.loads(self.answer()))

    def answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}; what it said is above")
        return line


@contextmanager
def _started(contender: Contender) -> Iterator[_Worker]:
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    with subprocess.Popen(
        [contender.python, _WORKER, contender.function, json.dumps(contender.arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=kept | _QUIET | dict(contender.variables),
    ) as process:
        worker = _Worker(contender.name, process)
        worker.answer()
        yield worker
