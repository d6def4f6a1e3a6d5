"""What a run leaves that nothing disturbs."""

from __future__ import annotations

from dataclasses import dataclass

from hosted import Hosted
from state import State


@dataclass(frozen=True)
class Undisturbed:
    """A pipeline on the servers with records to infer, and what a run on them writes and leaves."""

    before: Hosted
    writes: list[str]
    after: State
