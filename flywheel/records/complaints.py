"""What is wrong with records, gathered as masks and put into words only for those that have something wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flywheel.records.masks import nowhere
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
    bad = nowhere(count).alias("bad")
    for complaint in complaints:
        bad = bad | complaint.where
    return bad


def reasons(complaints: Sequence[Complaint], bad: pl.Series) -> pl.Series:
    """Return all complaints about each of the ``bad`` records in one text; there is at least one."""
    columns = [column for place, complaint in enumerate(complaints) for column in _columns(complaint, place, bad)]
    texts = [_text(complaint, place) for place, complaint in enumerate(complaints)]
    joined = pl.concat_str(texts, separator="; ", ignore_nulls=True).alias("reason")
    return pl.DataFrame(columns).select(joined).to_series()


def _columns(complaint: Complaint, place: int, bad: pl.Series) -> list[pl.Series]:
    where = complaint.where.filter(bad).alias(f"where {place}")
    return [where] if complaint.found is None else [where, as_text(complaint.found.filter(bad)).alias(f"found {place}")]


def _text(complaint: Complaint, place: int) -> pl.Expr:
    where, found = f"where {place}", f"found {place}"
    if complaint.found is None:
        return pl.when(where).then(pl.lit(f"{complaint.subject} {complaint.says}"))
    is_long = pl.col(found).str.len_chars() > SHOWN_CHARACTERS
    shortened = pl.when(is_long).then(pl.col(found).str.head(SHOWN_CHARACTERS - 1) + "…").otherwise(found)
    text = pl.format("{} = '{}' {}", pl.lit(complaint.subject), shortened.fill_null("null"), pl.lit(complaint.says))
    return pl.when(where).then(text)
