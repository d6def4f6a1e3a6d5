"""Keeps the model from being asked while drift says that it is not to be trusted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DriftGate:
    """A gate that lets no request through; every row gets the manifest's fallback."""

    def allow(self) -> bool:
        return False

    def success(self) -> None:
        """Nothing was asked, so nothing is learned."""

    def failure(self, error: str) -> None:
        """Nothing was asked, so nothing is learned."""

    def refusal(self) -> str:
        return "the newest drift check asks for the fallback (on_drift: fallback)"
