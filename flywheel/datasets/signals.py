"""The numbers behind the generated service metrics: rhythm, noise, incidents, spikes and drift, a minute at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SERVICES = ("auth", "billing", "checkout", "inventory", "orders", "payments", "search", "shipping")
MINUTES_A_DAY = 24 * 60
_SPIKE_SHARE = 0.004
_MINUTES_TO_THE_FULL = 15


@dataclass(frozen=True)
class Drift:
    """A rise of cpu usage by ``percent_a_day`` points a day, from ``from_day`` days after the start on."""

    from_day: int
    percent_a_day: float


@dataclass(frozen=True)
class Signals:
    """One value a minute and service, ``[minutes, services]``."""

    cpu: NDArray[np.float64]
    errors: NDArray[np.float64]
    incident_end: NDArray[np.int64]  # minute at which the incident ends; -1 where there is none
    spike: NDArray[np.bool_]


def make_signals(random: np.random.Generator, minutes: int, drift: Drift | None) -> Signals:
    shape = (minutes, len(SERVICES))
    minute = np.arange(minutes)[:, None]
    base = random.uniform(25, 45, len(SERVICES))
    peak = random.uniform(11, 17, len(SERVICES)) * 60
    rhythm = 12 * np.cos(2 * np.pi * (minute - peak) / MINUTES_A_DAY)
    cpu = base + rhythm + random.normal(0, 3, shape)
    errors = np.abs(random.normal(0.004, 0.003, shape))
    incident_end, strength = _incidents(random, minutes)
    cpu += strength * random.uniform(25, 45, shape)
    errors += strength * random.uniform(0.08, 0.35, shape)
    spike = (random.random(shape) < _SPIKE_SHARE) & (incident_end < 0)
    cpu += spike * random.uniform(18, 30, shape)
    errors += spike * random.exponential(0.02, shape)
    if drift is not None:
        cpu += drift.percent_a_day * np.clip(minute / MINUTES_A_DAY - drift.from_day, 0, None)
    return Signals(np.clip(cpu, 0, 100), np.clip(errors, 0, 1), incident_end, spike)


def _incidents(random: np.random.Generator, minutes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """About one incident a service in three days, growing at first: when it ends (or -1), and how bad it is (to 1)."""
    end = np.full((minutes, len(SERVICES)), -1, dtype=np.int64)
    strength = np.zeros((minutes, len(SERVICES)))
    for service in range(len(SERVICES)):
        for first in random.integers(0, minutes, random.poisson(minutes / MINUTES_A_DAY / 3)):
            length = int(np.exp(random.uniform(np.log(10), np.log(180))))
            inside = slice(first, min(first + length, minutes))
            growth = np.minimum(1, np.arange(1, inside.stop - first + 1) / _MINUTES_TO_THE_FULL)
            end[inside, service] = first + length
            strength[inside, service] = random.uniform(0.6, 1) * growth
    return end, strength
