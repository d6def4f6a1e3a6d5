"""Where the rows and fields of CSV (RFC 4180) are, found with whole-array operations.

A quoted field may hold commas, doubled quotes and line ends. A quote that opens nothing, or is never closed, costs its
own line only: lines are joined into one row just when the first one ends inside a quoted field, the last one closes it
where a field may end, and the row then has as many fields as the header.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flywheel.sources.lines import NEWLINE, RETURN, Bytes, Lines, Offsets, split_lines
from flywheel.sources.text_rows import SplitText

COMMA, QUOTE = 44, 34

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CsvRows:
    """Splits rows that should have ``columns`` fields."""

    columns: int

    def split(self, content: bytes) -> SplitText:
        lines = split_lines(content)
        quotes = _places(lines.data, QUOTE)
        odd = np.flatnonzero(_count_within(quotes, lines) % 2)
        if len(odd) == 0:
            return SplitText(lines.not_blank(), _unterminated(lines, lines))
        is_start, still_open = _join_lines(lines, quotes, odd, self.columns)
        starts = lines.starts[is_start]
        rows = Lines(lines.data, starts, np.append(starts[1:], lines.stops[-1]))
        open_from = _unterminated(lines, rows)
        if still_open is not None:
            open_from = min(int(lines.starts[still_open]), len(content) if open_from is None else open_from)
        return SplitText(rows.not_blank(), open_from)

    def is_whole(self, rows: Lines) -> bool:
        return len(rows) == 1 and bool((find_fields(rows).counts == self.columns).all())


@dataclass(frozen=True)
class Fields:
    """The commas that separate fields, row after row, and how many fields each row has."""

    rows: Lines
    commas: Offsets
    row_of: Offsets
    counts: Offsets

    def of_rows(self, good: Mask, columns: int) -> tuple[Offsets, Offsets]:
        """Return where the fields start and stop, as ``[rows, columns]``, of the rows that have all their columns."""
        inner = self.commas[good[self.row_of]].reshape(int(good.sum()), columns - 1)
        kept = self.rows.keep(good)
        starts = np.concatenate([kept.starts[:, None], inner + 1], axis=1)
        stops = np.concatenate([inner, kept.ends[:, None]], axis=1)
        return starts, stops


def find_fields(rows: Lines) -> Fields:
    """Find the commas outside quotes; in a row where no field begins with a quote, quotes are ordinary characters."""
    commas, quotes = _places(rows.data, COMMA), _places(rows.data, QUOTE)
    row_of = np.searchsorted(rows.starts, commas, side="right") - 1
    within = (row_of >= 0) & (commas < rows.stops[row_of]) if len(rows) else np.zeros(len(commas), np.bool_)
    commas, row_of = commas[within], row_of[within]
    if len(quotes):
        outside = _outside(commas, row_of, quotes, rows) | ~_has_quoted_field(rows, quotes)[row_of]
        commas, row_of = commas[outside], row_of[outside]
    return Fields(rows, commas, row_of, np.bincount(row_of, minlength=len(rows)) + 1)


def _unterminated(lines: Lines, rows: Lines) -> int | None:
    """Where the last row begins if its line end is missing: more of it may follow, be it several lines already."""
    return None if lines.terminated else int(rows.starts[-1])


def _places(data: Bytes, byte: int) -> Offsets:
    return np.flatnonzero(data == byte).astype(np.int64)


def _count_within(places: Offsets, lines: Lines) -> Offsets:
    return np.searchsorted(places, lines.stops) - np.searchsorted(places, lines.starts)


def _outside(places: Offsets, line_of: Offsets, quotes: Offsets, lines: Lines) -> Mask:
    """Whether an even number of quotes stands between a place and the start of its line."""
    before_line = np.searchsorted(quotes, lines.starts)
    outside: Mask = (np.searchsorted(quotes, places) - before_line[line_of]) % 2 == 0
    return outside


def _has_quoted_field(rows: Lines, quotes: Offsets) -> Mask:
    after_comma = quotes[rows.data[np.maximum(quotes - 1, 0)] == COMMA]
    has_one: Mask = (_count_within(after_comma, rows) > 0) | (rows.data[rows.starts] == QUOTE)
    return has_one


def _join_lines(lines: Lines, quotes: Offsets, odd: Offsets, columns: int) -> tuple[Mask, int | None]:
    """Return which lines begin a row, and the line whose quoted field is not closed by the end of the text."""
    commas = _places(lines.data, COMMA)
    line_of = np.searchsorted(lines.starts, commas, side="right") - 1
    outside = _outside(commas, line_of, quotes, lines)
    opens, closes = _ends_in_quoted_field(lines, commas[outside]), _closes_quoted_field(lines, quotes)
    separators = np.bincount(line_of[outside], minlength=len(lines))
    # The same line read from within a quoted field: what was inside is outside.
    inverted = np.cumsum(np.bincount(line_of[~outside], minlength=len(lines)))

    is_start = np.ones(len(lines), dtype=np.bool_)
    place = 0
    while place < len(odd):
        first = odd[place]
        if opens[first] and place + 1 == len(odd):
            return is_start, int(first)
        if opens[first]:
            last = odd[place + 1]
            if closes[last] and separators[first] + inverted[last] - inverted[first] + 1 == columns:
                is_start[first + 1 : last + 1] = False
                place += 1
            elif last == len(lines) - 1 and not lines.terminated:
                return is_start, int(first)  # what follows may close it yet
        place += 1
    return is_start, None


def _ends_in_quoted_field(lines: Lines, separators: Offsets) -> Mask:
    """Whether the last field of each line begins with a quote (for lines with an odd number of quotes)."""
    last = np.searchsorted(separators, lines.stops) - 1
    place = np.where(last >= 0, separators[last] if len(separators) else -1, -1)
    field_start = np.maximum(place + 1, lines.starts)
    opens: Mask = lines.data[np.minimum(field_start, len(lines.data) - 1)] == QUOTE
    return opens


def _closes_quoted_field(lines: Lines, quotes: Offsets) -> Mask:
    """Whether, read from within a quoted field, the first quote of each line that is not doubled ends the field."""
    first_of_run = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
    lengths = np.diff(np.append(first_of_run, len(quotes)))
    closing = lengths % 2 == 1
    after = (quotes[first_of_run] + lengths)[closing]
    run = np.searchsorted(quotes[first_of_run][closing], lines.starts)
    found = run < len(after)
    place = after[np.minimum(run, len(after) - 1)]
    at_end = place >= len(lines.data)
    ends: Mask = found & (
        at_end | np.isin(lines.data[np.minimum(place, len(lines.data) - 1)], (COMMA, NEWLINE, RETURN))
    )
    return ends
