"""Which share of each class of labelled rows is kept, and the sample keys that share stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flywheel.errors import ManifestError
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.training import Sampling

_SMALLEST_KEY = -(2**63)
_KEYS = 2**64


def key_limit(rate: float) -> int:
    """Return the greatest sample key that is kept at ``rate`` (0 < rate <= 1).

    Keys are uniform over the signed 64-bit integers, so comparing them (as signed integers) with a limit is the same as
    comparing a uniform number in [0, 1) with the rate, without any rounding that could differ between engines.

    >>> key_limit(1.0) == 2**63 - 1, key_limit(0.5)
    (True, -1)
    """
    return _SMALLEST_KEY + max(round(rate * _KEYS), 1) - 1


@dataclass(frozen=True)
class Rates:
    """Shares kept; a row's weight is the inverse of its own.

    Attributes
    ----------
    positive, negative
        Share kept of the rows with the positive label, and of the others.
    hard_threshold
        Negatives that the model scored above it are all kept; infinity where there is no such thing.
    """

    positive: float
    negative: float
    hard_threshold: float = math.inf


def rates_of(sampling: Sampling) -> Rates:
    """Return the rates of a strategy; a reservoir keeps a number of rows, not a share.

    >>> rates_of(Sampling(strategy="stratified", negative_rate=0.05))
    Rates(positive=1.0, negative=0.05, hard_threshold=inf)
    """
    if sampling.strategy == "random":
        return Rates(sampling.rate, sampling.rate)
    if sampling.strategy == "stratified":
        return Rates(sampling.positive_rate, sampling.negative_rate)
    if sampling.strategy == "hard_negative":
        return Rates(sampling.positive_rate, sampling.negative_rate, sampling.hard_threshold)
    return Rates(1.0, 1.0)


def needs_positive_label(sampling: Sampling) -> bool:
    """Whether the strategy treats the positive label differently."""
    return sampling.strategy in ("stratified", "hard_negative")


def positive_label(pipeline: Pipeline, sampling: Sampling) -> str | None:
    """Return the label that sampling calls positive.

    Raises
    ------
    ManifestError
        The strategy needs one, and nothing in the manifest names it.
    """
    label = pipeline.positive_label
    if label is None and needs_positive_label(sampling):
        raise ManifestError(
            f"pipeline {pipeline.name!r}: sampling {sampling.strategy!r} needs to know the positive label",
            next_step="set training_export.sampling.positive_label",
        )
    return label
