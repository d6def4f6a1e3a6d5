"""What is wrong with records, gathered as masks and put into words only for those that have something wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flywheel.records.text import as_text

SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Complaint:
    """Something wrong with the records where ``where`` is true, e.g. ``cpu_usage = 'high' is not a number``.

    ``found`` is the value as it was found, or None where there is none to show.
    """

    where: pl.Series
    subject: str
    says: str
    found: pl.Series | None = None


def any_complaint(complaints: Sequence[Complaint], count: int) -> pl.Series:
    """Return which of ``count`` records have at least one complaint."""
    bad = pl.Series("bad", [False]).new_from_index(0, count)
    for complaint in complaints:
        bad = bad | complaint.where
    return bad


def reasons(complaints: Sequence[Complaint], bad: pl.Series) -> pl.Series:
    """Return all complaints about each of the ``bad`` records in one text."""
    texts = [_text(complaint, bad).alias(str(i)) for i, complaint in enumerate(complaints)]
    if not texts:
        return pl.Series("reason", [], dtype=pl.String)
    joined = pl.concat_str(pl.all(), separator="; ", ignore_nulls=True).alias("reason")
    return pl.DataFrame(texts).select(joined).to_series()


def _text(complaint: Complaint, bad: pl.Series) -> pl.Series:
    where = complaint.where.filter(bad)
    if complaint.found is None:
        text = pl.lit(f"{complaint.subject} {complaint.says}")
        return pl.DataFrame({"where": where}).select(pl.when("where").then(text)).to_series()
    found = as_text(complaint.found.filter(bad))
    shortened = pl.when(pl.col("found").str.len_chars() > SHOWN_CHARACTERS).then(
        pl.col("found").str.head(SHOWN_CHARACTERS - 1) + "…"
    )
    value = shortened.otherwise("found").fill_null("null")
    text = pl.format("{} = '{}' {}", pl.lit(complaint.subject), value, pl.lit(complaint.says))
    return pl.DataFrame({"where": where, "found": found}).select(pl.when("where").then(text)).to_series()
