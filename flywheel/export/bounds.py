"""The values that the prediction log may hold for a feature: its declared limits, seen through its transform."""

from __future__ import annotations

import math

from flywheel.manifest.features import Bucketize, Clip, Feature, Log1p, Normalize, Standardize

Bounds = tuple[float | None, float | None]

# Room for the last bits of a transform's arithmetic, relative to the bound.
_SLACK = 1e-9


def logged_bounds(feature: Feature) -> Bounds:
    """Return the least and the greatest value of a number in the log; None where there is no limit.

    >>> logged_bounds(Feature(name="load", source_field="$.load", minimum=0, transform={"clip": {"max": 100}}))
    (0.0, 100.0)
    >>> logged_bounds(Feature(name="age", source_field="$.age", transform={"bucketize": {"boundaries": [18, 65]}}))
    (0, 2)
    """
    chosen = feature.transform.chosen if feature.transform else None
    low, high = feature.minimum, feature.maximum
    if isinstance(chosen, Bucketize):
        return 0, len(chosen.boundaries)
    if isinstance(chosen, Clip):
        return (
            chosen.min if low is None else _clipped(low, chosen),
            chosen.max if high is None else _clipped(high, chosen),
        )
    if isinstance(chosen, Normalize | Standardize | Log1p):
        return _transformed(low, chosen, -_SLACK), _transformed(high, chosen, _SLACK)
    return low, high


def _clipped(bound: float, clip: Clip) -> float:
    raised = bound if clip.min is None else max(bound, clip.min)
    return raised if clip.max is None else min(raised, clip.max)


def _transformed(bound: float | None, transform: Normalize | Standardize | Log1p, slack: float) -> float | None:
    """Take a bound through a transform that grows with its input, and a little further out."""
    if bound is None:
        return None
    if isinstance(transform, Normalize):
        value = (bound - transform.min) / (transform.max - transform.min)
    elif isinstance(transform, Standardize):
        value = (bound - transform.mean) / transform.std
    elif bound <= -1:
        return None
    else:
        value = math.log1p(bound)
    return value + slack * (1 + abs(value))
