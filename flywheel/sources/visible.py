"""Which rows may be seen at a logical time."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from flywheel.manifest.jsonpath import JsonPath
from flywheel.records.times import parse_times

_DECADE = timedelta(days=3653)


def known_since(values: pl.DataFrame, paths: list[JsonPath]) -> pl.Series:
    """Return when each row became known; null where no time of it can be read.

    ``paths`` lead to the time that counts, and to others that stand in where it is missing.
    """
    times = [parse_times(values[path]).alias(path) for path in paths]
    return times[0] if len(times) == 1 else pl.DataFrame(times).select(pl.coalesce(pl.all())).to_series()


def visible_prefix(times: pl.Series, as_of: datetime) -> int:
    """Return how many of the first rows became known by ``as_of``.

    A row without any readable time can be seen at once: it will be quarantined, and must not hold up what follows it.
    So is one of the year 9999, say, as soon as what follows it is known: that proves its time wrong. A clock that is
    wrong by years proves nothing, since nothing is known by then.
    """
    hidden = (times > as_of).fill_null(False)
    if absurd := _beyond(as_of):
        known = (times <= as_of).fill_null(False).arg_true()
        proven = int(known[-1]) if len(known) else -1
        hidden = hidden & ((times <= absurd).fill_null(False) | (pl.int_range(len(times), eager=True) > proven))
    first = hidden.arg_max()
    return int(first) if first is not None and hidden[first] else len(times)


def is_absurd(time: datetime, as_of: datetime) -> bool:
    """Whether a time is so far ahead that nobody waits for it if what follows it is known."""
    limit = _beyond(as_of)
    return limit is not None and time > limit


def _beyond(as_of: datetime) -> datetime | None:
    # A decade: a file whose rows are in no order may be replayed over years.
    try:
        return as_of + _DECADE
    except OverflowError:
        return None


def time_paths(event_time: JsonPath, received_at: JsonPath | None) -> list[JsonPath]:
    """Return where a record says when it became known, the best first."""
    return list(dict.fromkeys([received_at, event_time])) if received_at else [event_time]
