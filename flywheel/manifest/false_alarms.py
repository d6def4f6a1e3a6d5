"""A budget of false alarms, as a manifest writes it: ``1 per 30d``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from flywheel.manifest.fields import check_century, parse_duration

_BUDGET = re.compile(r"(\d{1,12})\s+per\s+(\S.*)")
_UNITS = (("w", timedelta(weeks=1)), ("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """At most ``count`` false alarms in any stretch of ``per``, on average.

    >>> str(FalseAlarms(1, timedelta(days=30)))
    '1 per 30d'
    """

    count: int
    per: timedelta

    def __str__(self) -> str:
        unit, length = next(((u, span) for u, span in _UNITS if not self.per % span), ("s", timedelta(seconds=1)))
        return f"{self.count} per {self.per / length:g}{unit}"


def parse_false_alarms(value: object) -> object:
    """Turn ``"1 per 30d"`` into a budget.

    >>> parse_false_alarms("2 per 4w")
    FalseAlarms(count=2, per=datetime.timedelta(days=28))
    """
    if isinstance(value, FalseAlarms):
        return value
    found = _BUDGET.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("is not a budget of false alarms; write a number and a duration: 1 per 30d")
    per = parse_duration(found[2])
    if not isinstance(per, timedelta):
        raise ValueError("is not a budget of false alarms; write its duration like 36h, 30d or 4w")
    if int(found[1]) < 1 or per <= timedelta(0):
        raise ValueError("must allow one false alarm at least, in a time above 0")
    return FalseAlarms(int(found[1]), check_century(per))


Budget = Annotated[FalseAlarms, BeforeValidator(parse_false_alarms)]
