"""Detection at equal false-alarm rates: thresholds from streams without drift, then power and delay under shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from drift_blocks import OURS
from drift_shifts import SHIFTS, Shift

RATE = 1 / 30
SLOWER = 1.05
BOOTSTRAPS = 1_000
NONE = "none"


@dataclass(frozen=True, slots=True)
class Cell:
    """One tool under one shift. ``delay`` is in checks, the check that alarms included, at most ``horizon``.

    ``ratio``: our mean delay by this tool's, with its 95% interval over streams.
    """

    shift: str
    kind: str
    tool: str
    power: float
    delay: float
    median: float
    horizon: int
    ratio: float
    low: float
    high: float

    @property
    def is_met(self) -> bool:
        """Whether ours is not slower by more than 5%."""
        return self.ratio <= SLOWER


def thresholds(scores: pl.DataFrame, rate: float = RATE) -> dict[str, float]:
    """The score of each tool that this share of the checks without drift exceeds."""
    quiet = scores.filter(shift=NONE).group_by("tool").agg(pl.col("score").quantile(1 - rate, "higher"))
    return dict(quiet.iter_rows())


def cells(scores: pl.DataFrame, tools: Sequence[str], shifts: Sequence[Shift] = SHIFTS) -> list[Cell]:
    """Every shift and tool, ours first."""
    limits = thresholds(scores)
    rng = np.random.default_rng(5)
    found = []
    for shift in shifts:
        alarms = {tool: _alarms(scores, tool, shift.name) > limits[tool] for tool in tools}
        delays = {tool: first_alarms(each, shift.sudden) for tool, each in alarms.items()}
        picks = rng.integers(0, len(delays[OURS]), (BOOTSTRAPS, len(delays[OURS])))
        ours = delays[OURS].mean(axis=1)
        for tool in tools:
            theirs = delays[tool].mean(axis=1)
            again = ours[picks].mean(axis=1) / theirs[picks].mean(axis=1)
            low, high = np.quantile(again, [0.025, 0.975])
            found.append(
                Cell(
                    shift.name,
                    shift.kind,
                    tool,
                    power=float(alarms[tool].mean()) if shift.sudden else float(alarms[tool].any(axis=1).mean()),
                    delay=float(theirs.mean()),
                    median=float(np.median(delays[tool])),
                    horizon=horizon(alarms[tool].shape[1], shift.sudden),
                    ratio=float(ours.mean() / theirs.mean()),
                    low=float(low),
                    high=float(high),
                )
            )
    return found


def horizon(checks: int, is_sudden: bool) -> int:
    """After how many checks a delay is cut off: half of them where any of the first half may be the onset."""
    return checks // 2 if is_sudden else checks


def first_alarms(alarms: npt.NDArray[np.bool_], is_sudden: bool) -> npt.NDArray[np.int64]:
    """Checks until the first alarm, that one included, by stream and onset; the horizon where none comes.

    What is the same from check to check may begin at any: each of the first half is an onset. Else the first is.

    >>> first_alarms(np.array([[False, True, False, False]]), is_sudden=True).tolist()
    [[2, 1]]
    >>> first_alarms(np.array([[False, False, True, False]]), is_sudden=False).tolist()
    [[3]]
    """
    checks = alarms.shape[1]
    length = horizon(checks, is_sudden)
    onsets = range(checks - length) if is_sudden else range(1)
    waits = [_wait(alarms[:, onset : onset + length]) for onset in onsets]
    return np.stack(waits, axis=1)


def _wait(alarms: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    return np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1, alarms.shape[1])


def _alarms(scores: pl.DataFrame, tool: str, shift: str) -> npt.NDArray[np.float64]:
    """Scores as one row a stream, one column a check."""
    found = scores.filter(tool=tool, shift=shift).sort("stream", "check")
    return found["score"].to_numpy().reshape(found["stream"].n_unique(), -1)
