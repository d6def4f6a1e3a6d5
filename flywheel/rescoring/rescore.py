"""Asks the model about rows that a fallback answered, and appends what it says to the table ``rescored``.

The rows to ask for are those that the table lacks, and the commit that appends them carries the number after the
newest one that the same look at the table found. Of two writers at once, runs or parts of a run, the second is refused
its number, and looks again: there is nothing to plan, and a run that is killed leaves its rows in the table or still
waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from flywheel.context import PipelineContext
from flywheel.errors import InferenceError, ModelMismatchError
from flywheel.inference.client import ModelClient
from flywheel.inference.compatible import encoding_for
from flywheel.inference.predict import Target, ask
from flywheel.records.encode import encode
from flywheel.rescoring.gate import Bystander
from flywheel.rescoring.rows import KEY, fallback_rows, without_rescored
from flywheel.rescoring.target import find_target
from flywheel.rescoring.waiting import WaitingBatches
from flywheel.scoring.score import open_breaker


@dataclass(frozen=True)
class Rescored:
    """What became of some batches' rows.

    Attributes
    ----------
    rescored, failed, unscorable
        Rows that this run appended, that the model gave no prediction for again, and whose features the lake does not
        have.
    failures
        Why, a line for each kind of error.
    is_down
        The model server does not answer, or is to be left alone for a while: nobody need ask it for more.
    """

    rescored: int = 0
    failed: int = 0
    unscorable: int = 0
    failures: list[str] = field(default_factory=list)
    is_down: bool = False


def rescore(context: PipelineContext, waiting: WaitingBatches, client: ModelClient, as_of: datetime) -> Rescored:
    """Score again what waits in these batches."""
    pin = waiting.pin
    pinned = context.at_revision(pin.revision)
    try:
        target = find_target(pinned, client, pin.model_id, pin.model_version)
    except (InferenceError, ModelMismatchError) as error:
        return Rescored(failed=waiting.rows, failures=[error.what], is_down=isinstance(error, InferenceError))
    gate = Bystander(open_breaker(context, client, target.model_id))
    every = fallback_rows(pinned, waiting.numbers)
    app, table = f"{context.name}/rescored", context.tables.rescored
    at = table.newest(app)
    rows, done = without_rescored(pinned, every, waiting.numbers, at)
    answers = _ask(pinned, rows, client, gate, target, as_of)
    # Another run, or another part of this one, may append between our look and our writing: then we look again, and
    # append what is lacking still. The model is asked once.
    while answers.known.height and not table.append_once(answers.known, app, at.number + 1):
        at = table.newest(app)
        lacking, done = without_rescored(pinned, every, waiting.numbers, at)
        answers = answers.only(lacking)
    gone = _note(context, waiting, every, pl.concat([done, answers.known.select(done.columns)]))
    return Rescored(
        rescored=answers.known.height,
        failed=answers.failed.height,
        unscorable=gone,
        failures=answers.failures,
        is_down=bool(answers.failures) and (gate.has_given_up or gate.breaker.health().state == "open"),
    )


@dataclass(frozen=True)
class _Answers:
    """What the model said: rows of the table ``rescored``, the keys of those it gave no prediction for, and why."""

    known: pl.DataFrame
    failed: pl.DataFrame
    failures: list[str]

    def only(self, rows: pl.DataFrame) -> _Answers:
        """Return the answers to these rows."""
        known, failed = (
            each.join(rows, on=KEY, how="semi", maintain_order="left") for each in (self.known, self.failed)
        )
        return _Answers(known, failed, self.failures)


def _ask(
    context: PipelineContext,
    rows: pl.DataFrame,
    client: ModelClient,
    gate: Bystander,
    target: Target,
    as_of: datetime,
) -> _Answers:
    matrix = encode(rows, encoding_for(context.pipeline, target.card))
    prediction, errors = ask(matrix, client, gate, target, context.pipeline)
    answered = rows.with_columns(prediction.alias(context.pipeline.inference.output_field)).filter(errors.is_null())
    known = answered.with_columns(
        predicted_at=pl.lit(as_of),
        model_id=pl.lit(target.model_id),
        model_version=pl.lit(target.version, pl.Int64),
        date=pl.col("event_time").dt.date(),
    )
    failures = [f"{count} rows: {error}" for error, count in errors.drop_nulls().value_counts(sort=True).rows()]
    return _Answers(known, rows.filter(errors.is_not_null()).select(KEY), failures)


def _note(context: PipelineContext, waiting: WaitingBatches, every: pl.DataFrame, done: pl.DataFrame) -> int:
    """Tell the ledger what the table has of each batch; return how many rows can't be scored any more."""
    found, rescored = _by_batch(every), _by_batch(done)
    unscorable = 0
    for batch in waiting.batches:
        gone = max(0, batch.fallbacks - found.get(batch.number, 0))
        context.records.raise_counts(batch.number, {"rescored": rescored.get(batch.number, 0), "unscorable": gone})
        unscorable += gone
    return unscorable


def _by_batch(rows: pl.DataFrame) -> Mapping[int, int]:
    return dict(rows.group_by("batch_id").len().rows())
