"""Moments of a number: what a baseline remembers of it beside its counts."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from flywheel.drift.bins import Floats


class Moments(BaseModel):
    """Of the finite values; ``std`` divides by n - 1. None where undefined or too large for a float."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    mean: float | None
    std: float | None
    min: float | None
    max: float | None


def moments_of(finite: Floats) -> Moments:
    """Return the moments of finite values, in any number."""
    if not finite.size:
        return Moments(n=0, mean=None, std=None, min=None, max=None)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _finite(finite.mean())
        std = _finite(finite.std(ddof=1)) if finite.size > 1 else None
    return Moments(n=finite.size, mean=mean, std=std, min=float(finite.min()), max=float(finite.max()))


def _finite(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
