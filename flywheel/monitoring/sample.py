"""Bounded samples of rows, of the reference and of a window, for what several features show only together.

Both are the rows with the smallest ``sample_key``, a hash of the prediction's id: uniform over all rows that were
logged, labelled or not, and the same every time.
"""

from __future__ import annotations

from io import BytesIO

import polars as pl
from polars.exceptions import PolarsError

from flywheel.context import PipelineContext
from flywheel.drift.measured import Measured, measured_features
from flywheel.errors import FlywheelError
from flywheel.lake.trouble import reaching
from flywheel.manifest.pipeline import Pipeline
from flywheel.monitoring.reference import beside_baselines

KEY = "sample_key"


class NoSampleError(FlywheelError):
    """There is no sample of the reference that could be read."""


def sampled_features(pipeline: Pipeline) -> list[Measured]:
    """The features that joint questions are about: the measured ones, then components of embeddings beyond them.

    Not the prediction's own fields: what a model answers follows from its features, so they add nothing to those, and
    where a fallback answered they would tell of an outage.
    """
    measured = [feature for feature in measured_features(pipeline) if not feature.is_prediction]
    embeddings = pipeline.drift.embeddings if pipeline.drift else {}
    names = {feature.name for feature in measured}
    components = dict.fromkeys(name for each in embeddings.values() for name in each if name not in names)
    return [*measured, *(Measured(name, "numeric") for name in components)]


def write_reference_sample(context: PipelineContext, baseline_id: str, rows: pl.DataFrame) -> None:
    """Write the sample of a baseline's rows where the manifest asks for it; the same rows give the same file.

    It is written before its baseline: a run that dies in between leaves a file that the next one writes again.
    """
    config = context.pipeline.drift
    if config is None or not config.asks_jointly:
        return
    file = BytesIO()
    _sample(rows.lazy(), context.pipeline, config.joint_sample).write_parquet(file)
    context.storage.write(_uris(context, baseline_id)[0], file.getvalue())


def reference_sample(context: PipelineContext, baseline_id: str, size: int) -> pl.DataFrame:
    """Return at most ``size`` rows of a baseline's sample.

    Raises
    ------
    NoSampleError
        There is none, as beside a baseline from before it was asked for, or it can't be read.
    """
    for uri in _uris(context, baseline_id):
        try:
            return pl.read_parquet(context.storage.read_bytes(uri)).bottom_k(size, by=KEY).sort(KEY)
        except FileNotFoundError:
            continue
        except PolarsError as error:
            raise NoSampleError(f"the sample of the reference at {uri} is no Parquet file with {KEY}") from error
    raise NoSampleError("no sample of the reference yet: the next retrain writes it")


def window_sample(context: PipelineContext, batches: tuple[int, ...], size: int) -> pl.DataFrame:
    """Return at most ``size`` rows of a window; the others are only passed by, never held in memory."""
    table = context.tables.predictions
    names = [KEY, "batch_id", *(feature.name for feature in sampled_features(context.pipeline))]
    rows = table.scan(table.files(batches=batches), names).filter(pl.col("batch_id").is_in(batches))
    with reaching(table.location):
        return _sample(rows, context.pipeline, size)


def _sample(rows: pl.LazyFrame, pipeline: Pipeline, size: int) -> pl.DataFrame:
    found = rows.bottom_k(size, by=KEY).collect(engine="streaming").sort(KEY)
    return found.select(KEY, *(feature.values(found) for feature in sampled_features(pipeline)))


def _uris(context: PipelineContext, baseline_id: str) -> list[str]:
    return [f"{folder}/{baseline_id}.parquet" for folder in beside_baselines(context)]
