"""Profiles logged batches on the champion's baseline, so that a drift check can look back beyond its promotion.

The batches to profile are those that the table lacks on that baseline, and the commit that appends them carries the
number after the newest one that the same look at the table found: of two writers at once the second looks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import polars as pl
from sqlalchemy import select

from flywheel.context import PipelineContext
from flywheel.drift.baseline import Baseline
from flywheel.lake.span import before
from flywheel.lake.tables import PROFILES
from flywheel.metadata.schema import Batch
from flywheel.monitoring.profiles import profile_rows
from flywheel.monitoring.reference import require_baseline
from flywheel.registry.version import RegisteredModel

# What a process reads at once.
_MOST_ROWS = 500_000
# What every profile is made of, whatever its baseline measures.
_OF_EVERY_ROW = frozenset({"batch_id", "event_time", "model_version", "status"})


@dataclass(frozen=True)
class LoggedBatch:
    """A committed batch: ``rows`` of it went to the prediction log, ``predicted_at`` its logical time."""

    number: int
    predicted_at: datetime
    rows: int


@dataclass(frozen=True)
class Unprofiled:
    """Batches that follow each other and are profiled in one go, on the baseline of the model's ``version``."""

    version: int | None
    batches: tuple[LoggedBatch, ...]


@dataclass(frozen=True)
class Reprofiled:
    """What became of some batches: so many profiled, with so many rows; ``gone`` are no longer whole in the log."""

    batches: int = 0
    rows: int = 0
    gone: int = 0


def find_unprofiled(context: PipelineContext, as_of: datetime, span: timedelta) -> list[Unprofiled]:
    """Return the batches made within ``span`` before ``as_of`` that the champion's baseline has no profile of.

    Raises
    ------
    FlywheelError
        There is no baseline.
    """
    champion = context.registry.champion(context.pipeline.inference.model_id)
    version = champion.version if champion else None
    baseline = require_baseline(context, version)
    logged = _logged(context, as_of, span)
    done = _profiled(context, baseline.id, [batch.number for batch in logged], context.tables.profiles.version())
    lacking = [batch for batch in logged if batch.number not in done]
    total = 0

    def part(batch: LoggedBatch) -> int:
        nonlocal total
        total += batch.rows
        return (total - 1) // _MOST_ROWS

    return [Unprofiled(version, tuple(found)) for _, found in groupby(lacking, key=part)]


def reprofile(context: PipelineContext, unprofiled: Unprofiled) -> Reprofiled:
    """Profile these batches, from their logged rows, and append the profiles exactly once."""
    model_id, version = context.pipeline.inference.model_id, unprofiled.version
    baseline = require_baseline(context, version)
    answers_of = context.registry.get(model_id, version) if version is not None else None
    rows = _read(context, baseline, [batch.number for batch in unprofiled.batches])
    parts = [pl.DataFrame(schema=PROFILES)]
    whole: dict[int, int] = {}
    for batch in unprofiled.batches:
        own = rows.get(batch.number)
        if own is not None and own.height == batch.rows:
            parts.append(_profile(own, baseline, batch, answers_of))
            whole[batch.number] = batch.rows
    appended = _append(context, pl.concat(parts), baseline.id)
    gone = len(unprofiled.batches) - len(whole)
    return Reprofiled(len(appended), sum(whole[number] for number in appended), gone)


def _logged(context: PipelineContext, as_of: datetime, span: timedelta) -> list[LoggedBatch]:
    wanted = (
        select(Batch.number, Batch.as_of, Batch.counts)
        .where(Batch.pipeline == context.name, Batch.feed == "records", Batch.status == "committed")
        .where(Batch.as_of <= as_of, Batch.as_of > before(as_of, span))
        .order_by(Batch.number)
    )
    with context.database.session() as session:
        found = session.execute(wanted).tuples().all()
    batches = [LoggedBatch(number, made, counts["ok"] + counts["fallback"]) for number, made, counts in found]
    return [batch for batch in batches if batch.rows]


def _profiled(context: PipelineContext, baseline_id: str, numbers: list[int], version: int | None) -> set[int]:
    """Which of these batches a version of the table has on a baseline."""
    table = context.tables.profiles
    if version is None or not numbers:
        return set()
    rows = table.read(table.files(version, batches=numbers), ["batch_id", "baseline_id"])
    return set(rows.filter(pl.col("baseline_id") == baseline_id)["batch_id"].unique()) & set(numbers)


def _read(context: PipelineContext, baseline: Baseline, numbers: list[int]) -> dict[int, pl.DataFrame]:
    table = context.tables.predictions
    wanted = _OF_EVERY_ROW | _columns(baseline)
    rows = table.read(table.files(batches=numbers), [name for name in table.schema if name in wanted])
    parts = rows.filter(pl.col("batch_id").is_in(numbers)).partition_by("batch_id", as_dict=True)
    return {int(number): part for (number,), part in parts.items()}


def _columns(baseline: Baseline) -> set[str]:
    """The columns that a baseline measures or slices by: most of what a log holds beside them are ids."""
    cut = {each.by.feature for each in baseline.sliced if each.by.kind != "season"}
    return cut | {each.name.partition(".")[0] for each in baseline.measured}


def _profile(
    rows: pl.DataFrame, baseline: Baseline, batch: LoggedBatch, champion: RegisteredModel | None
) -> pl.DataFrame:
    """Count a batch as it would have been when it was logged; of another version's answers only what it was asked."""
    found = profile_rows(rows, baseline, batch.number, batch.predicted_at)
    if champion is None or champion.card.baseline_id != baseline.id or rows["model_version"][0] == champion.version:
        return found
    answers = [feature.name for feature in baseline.measured if feature.is_prediction]
    return found.filter(~pl.col("feature").is_in(answers))


def _append(context: PipelineContext, profiles: pl.DataFrame, baseline_id: str) -> set[int]:
    """Append what the table lacks when it is written; return the numbers of those batches."""
    table, app = context.tables.profiles, f"{context.name}/reprofile"
    numbers = set(profiles["batch_id"].unique())
    while numbers:
        at = table.newest(app)
        numbers -= _profiled(context, baseline_id, sorted(numbers), at.version)
        if table.append_once(profiles.filter(pl.col("batch_id").is_in(list(numbers))), app, at.number + 1):
            break
    return numbers
