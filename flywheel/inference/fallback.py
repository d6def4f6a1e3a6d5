"""What becomes of rows that the model gave no prediction for, as the manifest's ``fallback`` says.

==================  ====================================================================================
passthrough         goes on without a prediction; sinks leave the field out
return_null         goes on with a null prediction
use_default         goes on with ``default_prediction``
use_last_known      goes on with the newest known prediction, of its entity where there is an ``entity_key``
send_to_dlq         is taken out of the batch, with the reason
error               stops the run
==================  ====================================================================================

Such a row's ``status`` is the fallback's name; every other row's is ``ok``.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flywheel.errors import InferenceError
from flywheel.manifest.inference import InferenceConfig

OK = "ok"


@dataclass(frozen=True)
class Scored:
    """A batch after inference.

    Attributes
    ----------
    rows
        The rows that go on, in order, with the output field (a struct, null without a prediction) and ``status``.
    dead
        The rows taken out by ``send_to_dlq``, as they came, with ``reason``.
    failures
        What went wrong, one line for each kind of error.
    """

    rows: pl.DataFrame
    dead: pl.DataFrame
    failures: list[str]


def apply_fallback(
    rows: pl.DataFrame,
    prediction: pl.Series,
    errors: pl.Series,
    config: InferenceConfig,
    last_known: pl.DataFrame | None,
) -> Scored:
    """Give every row its prediction or what the fallback puts in its place.

    Parameters
    ----------
    prediction
        Struct for each row, null where there is none.
    errors
        Why there is none, null where there is one.
    last_known
        The newest prediction before this batch: the output field and, where the pipeline has an ``entity_key``, a row
        for each ``entity``. A prediction of this batch is newer.

    Raises
    ------
    InferenceError
        A row has no prediction and the fallback is ``error``.
    """
    failed = errors.is_not_null()
    failures = _summary(errors)
    if failures and config.fallback == "error":
        raise _stop(config, int(failed.sum()), rows.height, failures)
    status = pl.when(failed).then(pl.lit(config.fallback)).otherwise(pl.lit(OK)).alias("status")
    scored = rows.with_columns(prediction.alias(config.output_field), status)
    dead = rows.clear().with_columns(reason=pl.lit(None, dtype=pl.String))
    if not failures:
        return Scored(scored, dead, failures)
    if config.fallback == "use_default":
        scored = _with_default(scored, config, prediction.dtype)
    elif config.fallback == "use_last_known":
        scored = _with_last_known(scored, config, last_known)
    elif config.fallback == "send_to_dlq":
        dead = rows.with_columns(errors.alias("reason")).filter(failed)
        scored = scored.filter(~failed)
    return Scored(scored, dead, failures)


def _with_default(scored: pl.DataFrame, config: InferenceConfig, dtype: pl.DataType) -> pl.DataFrame:
    default = pl.lit(config.default_prediction, dtype=dtype)
    return scored.with_columns(_chosen(default, config).alias(config.output_field))


def _with_last_known(scored: pl.DataFrame, config: InferenceConfig, last_known: pl.DataFrame | None) -> pl.DataFrame:
    newest = f"last_known_{config.output_field}"
    columns = [*(["entity"] if config.entity_key is not None else []), config.output_field]
    known = scored.filter(pl.col("status") == OK).sort("event_time", maintain_order=True).select(columns)
    if last_known is not None:
        known = pl.concat([last_known.select(columns), known], how="vertical_relaxed")
    known = known.rename({config.output_field: newest})
    if config.entity_key is not None:
        latest = known.unique("entity", keep="last", maintain_order=True)
        joined = scored.join(latest, on="entity", how="left", maintain_order="left")
    else:
        repeated = pl.lit(known[newest].last(), dtype=scored.schema[config.output_field])
        joined = scored.with_columns(repeated.alias(newest))
    return joined.with_columns(_chosen(pl.col(newest), config).alias(config.output_field)).drop(newest)


def _chosen(substitute: pl.Expr, config: InferenceConfig) -> pl.Expr:
    return pl.when(pl.col("status") == OK).then(pl.col(config.output_field)).otherwise(substitute)


def _summary(errors: pl.Series) -> list[str]:
    counts = errors.drop_nulls().value_counts(sort=True)
    return [f"{count} rows: {error}" for error, count in counts.rows()]


def _stop(config: InferenceConfig, failed: int, rows: int, failures: list[str]) -> InferenceError:
    return InferenceError(
        f"{config.model_id} at {config.model_endpoint} gave no prediction for {failed} of {rows} rows: "
        + "; ".join(failures),
        state="nothing of this batch was written; it stays planned",
        next_step="start the model server (flywheel serve-models), then run it again: flywheel run infer",
    )
