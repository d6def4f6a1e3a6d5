"""Which rows may be seen at a logical time."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.times import parse_times


def known_since(values: pl.DataFrame, paths: list[JsonPath]) -> pl.Series:
    """Return when each row became known; null where no time of it can be read.

    ``paths`` lead to the time that counts, and to others that stand in where it is missing.
    """
    times = [parse_times(values[path]).alias(path) for path in paths]
    return times[0] if len(times) == 1 else pl.DataFrame(times).select(pl.coalesce(pl.all())).to_series()


def visible_prefix(times: pl.Series, as_of: datetime) -> int:
    """Return how many of the first rows became known by ``as_of``.

    A row without any readable time can be seen at once: it will be quarantined, and must not hold up what follows it.
    """
    hidden = (times > as_of).fill_null(False)
    first = hidden.arg_max()
    return int(first) if first is not None and hidden[first] else len(times)


def time_paths(event_time: JsonPath, received_at: JsonPath | None) -> list[JsonPath]:
    """Return where a record says when it became known, the best first."""
    return list(dict.fromkeys([received_at, event_time])) if received_at else [event_time]
