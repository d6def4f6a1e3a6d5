"""What a fault did to the loop: the rows of the table that ``make chaos`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace

_HEADER = ("fault", "stack", "injected", "rows in", "lost", "twice", "recovery")


@dataclass(frozen=True)
class Outcome:
    """One fault on one stack.

    ``injected`` is how often it happened, ``rows_in`` how many rows went in over it all, ``recovery_seconds`` the
    longest time from the end of a fault until the loop went on.
    """

    fault: str
    stack: str
    injected: int
    rows_in: int
    lost: int
    twice: int
    recovery_seconds: float

    def __add__(self, other: Outcome) -> Outcome:
        return replace(
            self,
            injected=self.injected + other.injected,
            rows_in=self.rows_in + other.rows_in,
            lost=self.lost + other.lost,
            twice=self.twice + other.twice,
            recovery_seconds=max(self.recovery_seconds, other.recovery_seconds),
        )


def combined(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Add up what several tests did of the same fault on the same stack.

    >>> combined([Outcome("gone", "servers", 2, 10, 0, 0, 0.5), Outcome("gone", "servers", 1, 20, 0, 0, 0.1)])
    [Outcome(fault='gone', stack='servers', injected=3, rows_in=30, lost=0, twice=0, recovery_seconds=0.5)]
    """
    found: dict[tuple[str, str], Outcome] = {}
    for each in outcomes:
        key = each.fault, each.stack
        found[key] = found[key] + each if key in found else each
    return list(found.values())


def as_table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table, in the order of stack and fault.

    >>> print(as_table([Outcome("S3 answers 503", "servers", 1200, 30000, 0, 0, 0.42)]))
    | fault          | stack   | injected | rows in | lost | twice | recovery |
    | :------------- | :------ | -------: | ------: | ---: | ----: | -------: |
    | S3 answers 503 | servers |    1,200 |  30,000 |    0 |     0 |    0.4 s |
    """
    ordered = sorted(outcomes, key=lambda each: (each.stack, each.fault))
    rows = [_HEADER, *(_cells(each) for each in ordered)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = [
        f":{'-' * (width - 1)}" if left else f"{'-' * (width - 1)}:" for width, left in zip(widths, _LEFT, strict=True)
    ]
    lines = [[_padded(*cell) for cell in zip(row, widths, _LEFT, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def read_table(table: str) -> list[Outcome]:
    """Read what ``as_table`` wrote.

    >>> outcomes = [Outcome("S3 answers 503", "servers", 1200, 30000, 0, 0, 0.4)]
    >>> read_table(as_table(outcomes)) == outcomes
    True
    """
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()[2:]]
    return [
        Outcome(fault, stack, *(int(count.replace(",", "")) for count in counts), float(seconds.removesuffix(" s")))
        for fault, stack, *counts, seconds in lines
    ]


_LEFT = (True, True, False, False, False, False, False)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    *texts_and_counts, seconds = astuple(outcome)
    cells = (each if isinstance(each, str) else f"{each:,}" for each in texts_and_counts)
    return (*cells, f"{seconds:.1f} s")


def _padded(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)
