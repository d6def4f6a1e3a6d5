"""What a check compares: each feature as a whole, or in the window's seasons, and each in every slice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from flywheel.drift.baseline import Baseline
from flywheel.drift.counting import Counts
from flywheel.drift.measured import Measured
from flywheel.drift.measures.comparison import Comparison
from flywheel.drift.profile import counts_by_feature
from flywheel.drift.seasons import InSeason, in_season
from flywheel.drift.sliced import SlicedReference
from flywheel.manifest.drift import DriftConfig, Seasonal

# Fewer rows of a window show nothing, and asking costs the others a part of the budget.
FEWEST_IN_SLICE = 20
_NAMED_SEASONS = 3


@dataclass(frozen=True)
class Subject:
    """One feature in one part of the rows.

    ``slice`` is the part's name, None for the whole; ``share`` its part of the window's rows; ``seasonal`` whether the
    reference is that of the window's seasons.
    """

    feature: Measured
    comparison: Comparison
    slice: str | None = None
    share: float = 1.0
    seasonal: bool = False


@dataclass(frozen=True)
class Compared:
    """All that a check asks of.

    ``rows`` and ``reference_rows`` are how many there are to compare; ``notes`` say what is not there to be compared.
    """

    whole: Sequence[Subject]
    slices: Sequence[Subject]
    rows: int
    reference_rows: int
    notes: Sequence[str]


def compare(baseline: Baseline, counts: pl.DataFrame, rows: int, config: DriftConfig) -> Compared:
    """Pair the window's counts with the reference's.

    Parameters
    ----------
    counts
        The merged profile of a window of ``rows`` rows, made on this baseline.

    Raises
    ------
    FlywheelError
        The profile was made on another baseline.
    """
    found = counts_by_feature(counts, baseline)
    chosen = [feature for feature in baseline.measured if _is_chosen(feature, config)]
    sliced = {name: baseline.slices(name) for name in config.slices}
    lacking = [name for name, by in sliced.items() if by is None]
    notes = [_no_slices(baseline, lacking)] if lacking else []
    slices = [
        subject for by in sliced.values() if by for subject in _slices(baseline, by, counts, found, chosen, config)
    ]
    if config.seasonal is None:
        return Compared(_whole(baseline, found, chosen), slices, rows, baseline.rows, notes)
    seasons = baseline.seasons(config.seasonal)
    if seasons is None:
        notes.append(_no_seasons(baseline, config.seasonal))
        return Compared(_whole(baseline, found, chosen), slices, rows, baseline.rows, notes)
    return _in_seasons(baseline, seasons, counts, chosen, notes)


def comparison_of(
    baseline: Baseline, counts: pl.DataFrame, feature: str, part: str | None, seasonal: bool
) -> Comparison | None:
    """One comparison again, as a check made it; None where the baseline does not have it."""
    known = baseline.features.get(feature)
    if known is None:
        return None
    if part is None and not seasonal:
        return Comparison(known, counts_by_feature(counts, baseline)[feature])
    for by in baseline.sliced:
        if feature not in by.tables:
            continue
        if seasonal and by.by.kind == "season":
            matched = in_season(by.tables[feature], by.tables_of(counts)[feature])
            return Comparison(known, matched.window, matched.reference)
        if part in by.by.names:
            place = by.by.names.index(part)
            return Comparison(known, by.tables_of(counts)[feature][place], by.tables[feature][place])
    return None


def _is_chosen(feature: Measured, config: DriftConfig) -> bool:
    return feature.is_prediction or config.features is None or feature.name in config.features


def _whole(baseline: Baseline, found: Mapping[str, Counts], chosen: Sequence[Measured]) -> list[Subject]:
    return [Subject(each, Comparison(baseline.features[each.name], found[each.name])) for each in chosen]


def _slices(
    baseline: Baseline,
    by: SlicedReference,
    counts: pl.DataFrame,
    whole: Mapping[str, Counts],
    chosen: Sequence[Measured],
    config: DriftConfig,
) -> Iterator[Subject]:
    """Those with enough rows on both sides."""
    window, names = by.tables_of(counts), by.by.names
    for feature in chosen:
        if feature.name not in by.tables:
            continue
        reference, found = by.tables[feature.name], window[feature.name]
        enough = (reference.sum(axis=1) >= config.fewest_rows) & (found.sum(axis=1) >= FEWEST_IN_SLICE)
        rows = max(int(whole[feature.name].sum()), 1)
        for place in np.flatnonzero(enough).tolist():
            comparison = Comparison(baseline.features[feature.name], found[place], reference[place])
            yield Subject(feature, comparison, names[place], int(found[place].sum()) / rows)


def _in_seasons(
    baseline: Baseline, by: SlicedReference, counts: pl.DataFrame, chosen: Sequence[Measured], notes: list[str]
) -> Compared:
    window = by.tables_of(counts)
    matched = {feature.name: in_season(by.tables[feature.name], window[feature.name]) for feature in chosen}
    whole = [
        Subject(each, Comparison(baseline.features[each.name], found.window, found.reference), seasonal=True)
        for each in chosen
        for found in [matched[each.name]]
    ]
    # The prediction's own fields have fewer rows on both sides: not every record was answered, nor every answer kept.
    rows = [found for name, found in matched.items() if "." not in name] or list(matched.values())
    if rows and rows[0].left_out.any():
        notes.append(_left_out(rows[0], by))
    sizes = (int(rows[0].window.sum()), int(rows[0].reference.sum())) if rows else (0, 0)
    return Compared(whole, [], *sizes, notes)


def _no_slices(baseline: Baseline, features: Sequence[str]) -> str:
    named = ", ".join(features)
    return f"no slices by {named}: baseline {baseline.id} has none, the next retrain makes them of what has two values"


def _no_seasons(baseline: Baseline, seasonal: Seasonal) -> str:
    return f"compared with all seasons: baseline {baseline.id} is not kept by {seasonal}, the next retrain's will be"


def _left_out(found: InSeason, by: SlicedReference) -> str:
    """Which seasons the reference lacks: those with most rows are named."""
    lacking = np.argsort(-found.left_out, kind="stable")[: np.count_nonzero(found.left_out)]
    named = ", ".join(by.by.names[place] for place in lacking[:_NAMED_SEASONS].tolist())
    more = f" and {lacking.size - _NAMED_SEASONS} more" if lacking.size > _NAMED_SEASONS else ""
    return f"{int(found.left_out.sum()):,} rows left out: the reference has none of {named}{more}"
