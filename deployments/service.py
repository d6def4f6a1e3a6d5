"""A process that is kept running: started, watched, started again when it ends by itself, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from flywheel.errors import FlywheelError

Say = Callable[[str], None]
_START_SECONDS = 240.0
_STOP_SECONDS = 20.0
# One that ends this often within a minute would end again: what is wrong is not going to pass.
_ENDS_A_MINUTE = 3


@dataclass
class Service:
    """A command that runs until it is stopped; ``ready`` says whether it does its work yet."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], bool]
    before_start: Callable[[], None] = lambda: None
    # Of a process that has died: one that still listens is in the way of the next, a run goes on.
    children: Literal["stop", "leave"] = "stop"
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    # Of processes that have ended, with whatever they left behind.
    _groups: list[int] = field(default_factory=list, init=False)
    _ends: list[float] = field(default_factory=list, init=False)

    @property
    def pid(self) -> int | None:
        """The process's id, also once it has ended; None before it is started."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process and wait until it is ready; FlywheelError with the end of its log if it does not get so."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.before_start()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands, nothing from outside
                self.command,
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                # A process group of its own, so that Ctrl-C reaches us and we stop our children in order; and SIGINT as
                # usual, which a shell's & would have had ignored and which makes a worker hang when it is stopped.
                start_new_session=True,
                preexec_fn=_default_sigint,  # noqa: PLW1509 - only resets a signal
            )
        self._wait_until_ready(self._process)

    def ended(self) -> int | None:
        """Return what the process ended with, None while it runs."""
        return self._process.poll() if self._process else None

    def restart(self) -> None:
        """Start the process again after it has ended; FlywheelError if it has done so too often."""
        self._ends = [end for end in self._ends if time.monotonic() - end < 60] + [time.monotonic()]
        if len(self._ends) >= _ENDS_A_MINUTE:
            raise self._failure(f"has ended {len(self._ends)} times within a minute")
        if self._process is not None:
            self._groups.append(self._process.pid)
        if self.children == "stop":
            self._kill_groups()
        self.start()

    def stop(self) -> None:
        """Ask the process to end, then insist."""
        process = self._process
        if process is None:
            return
        for how, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if process.poll() is not None:
                break
            os.killpg(process.pid, how)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        # The server and the worker have children of their own; none may outlive this command.
        self._groups.append(process.pid)
        self._kill_groups()

    def _kill_groups(self) -> None:
        while self._groups:
            with suppress(ProcessLookupError):
                os.killpg(self._groups.pop(), signal.SIGKILL)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.ready():
            if process.poll() is not None:
                raise self._failure(f"ended with {process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure("did not become ready")
            time.sleep(0.1)

    def _failure(self, reason: str) -> FlywheelError:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return FlywheelError(f"the {self.name} {reason}; the end of its log:\n{tail}", next_step=f"see {self.log}")


def revive(services: Sequence[Service], say: Say, after: Mapping[str, Callable[[], list[str]]]) -> None:
    """Start again what has ended by itself, in this order: what others need comes first.

    ``after`` says what to do when a service has ended, by its name; FlywheelError if one has ended too often.
    """
    for service in services:
        if (code := service.ended()) is None:
            continue
        say(f"the {service.name} ended with {code}, starting it again …")
        settled = after[service.name]() if service.name in after else []
        service.restart()
        for line in [*settled, f"the {service.name} is back"]:
            say(line)


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Run a service until the end of the block, also if it does not become ready."""
    try:
        service.start()
        yield service
    finally:
        service.stop()


def _default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
