"""A pipeline of its own for the join and the export: predictions by the hour, feedback a day late, labels of all.

The tables are written batch by batch through the program's own ``append_once``, once for each size; whatever is drawn
is drawn from the hour's number, so that every hour can be made again by itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from flywheel.lake.storage import Location
from flywheel.lake.tables import FEEDBACK, LABELS, PipelineTables, pipeline_tables
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import output_schema
from flywheel.records.sample_key import sample_keys

NAME = "rides"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAX_DELAY = timedelta(hours=24)
FEATURES = 10
MODEL_VERSION = 3
_MADE = "made"
_NARROW = ("prediction_id", "event_time", "batch_id", "sample_key", "date")


@dataclass(frozen=True, slots=True)
class Log:
    """``rows`` predictions over ``hours`` hours, a batch each; ``answered``: the share that events come for.

    ``is_narrow``: only what a join reads, with ids of 16 letters, and no labels.
    """

    rows: int
    hours: int = 240
    answered: float = 0.15
    is_narrow: bool = False
    seed: int = 1

    @property
    def end(self) -> datetime:
        return START + self.hours * HOUR

    @property
    def an_hour(self) -> int:
        return self.rows // self.hours

    def folder(self, under: Path) -> Path:
        width = "narrow" if self.is_narrow else "wide"
        return under / f"log-{self.rows}-{self.hours}-{width}-{self.seed}-{len(FEEDBACK) + len(LABELS)}"


def bench_pipeline(negative_rate: float = 0.05) -> Pipeline:
    """Ten numbers, a classification, two label rules; the export keeps every positive and 5% of the others."""
    features = [{"name": name, "source_field": f"$.{name}"} for name in feature_names()]
    spec = {
        "source": "rides",
        "stages": [
            {"id": "features", "type": "feature-extraction", "config": {"features": features}},
            {
                "id": "inference",
                "type": "ml-inference",
                "config": {"model_endpoint": "server:1", "model_id": NAME, "input_features": feature_names()},
            },
        ],
        "feedback": {
            "source": "outcomes",
            "join_key": "$.id",
            "max_delay_hours": MAX_DELAY / HOUR,
            "labels": [{"event": "complaint", "label": "bad"}, {"event": "done", "label": "good", "confidence": 0.7}],
        },
        "training": {"task": "classification", "algorithm": "hist_gradient_boosting", "target": "bad"},
        "training_export": {
            "destination_uri": "exports",
            "sampling": {"strategy": "stratified", "negative_rate": negative_rate},
        },
    }
    document = {"apiVersion": "flywheel-ml.io/v1", "kind": "FlywheelPipeline", "metadata": {"name": NAME}}
    return Pipeline.model_validate({**document, "spec": spec})


def feature_names() -> list[str]:
    return [f"f{index}" for index in range(FEATURES)]


def tables_of(log: Log, under: Path) -> PipelineTables:
    """Return the tables of ``log``, made or not."""
    tables = pipeline_tables(Location(str(log.folder(under))), NAME, output_schema(bench_pipeline()))
    if not log.is_narrow:
        return tables
    narrow = pl.Schema({name: dtype for name, dtype in tables.predictions.schema.items() if name in _NARROW})
    return replace(tables, predictions=replace(tables.predictions, schema=narrow))


def made_tables(log: Log, under: Path) -> PipelineTables:
    """Return the tables of ``log`` with predictions, feedback and a label for every prediction; made if not there."""
    folder, tables = log.folder(under), tables_of(log, under)
    if (folder / _MADE).exists():
        return tables
    shutil.rmtree(folder, ignore_errors=True)
    with ThreadPoolExecutor(1) as ahead:
        for number, rows in enumerate(ahead.map(lambda hour: predictions_of(log, hour), range(log.hours)), start=1):
            tables.predictions.append_once(rows, f"{NAME}/records", number)
            if not log.is_narrow:
                tables.labels.append_once(labels_of(log, number - 1, rows), f"{NAME}/feedback", number)
    for number, rows in enumerate(feedback_by_hour(log), start=1):
        tables.feedback.append_once(rows, f"{NAME}/feedback", number)
    (folder / _MADE).touch()
    return tables


def predictions_of(log: Log, hour: int) -> pl.DataFrame:
    """The batch of an hour, in the order of event time, as the prediction log holds it."""
    ids = _ids(log, hour)
    if log.is_narrow:
        times = _times(log, hour)
        rows = pl.DataFrame({"prediction_id": ids, "event_time": times, "sample_key": sample_keys(ids)})
        return rows.with_columns(batch_id=pl.lit(hour + 1, pl.Int64), date=pl.col("event_time").dt.date())
    random = np.random.default_rng((log.seed, hour, 0))
    numbers = random.standard_normal((FEATURES, log.an_hour))
    score = random.random(log.an_hour)
    times = _times(log, hour)
    answer = pl.DataFrame({"label": np.where(score > 0.5, "bad", "good"), "score": score}).to_struct("prediction")
    return pl.DataFrame({"prediction_id": ids, "event_time": times}).with_columns(
        predicted_at=pl.lit(START + (hour + 1) * HOUR).cast(pl.Datetime("us", "UTC")),
        model_id=pl.lit(NAME),
        model_version=pl.lit(MODEL_VERSION, pl.Int64),
        variant=pl.lit("champion"),
        batch_id=pl.lit(hour + 1, pl.Int64),
        status=pl.lit("ok"),
        sample_key=sample_keys(ids),
        date=pl.col("event_time").dt.date(),
        **{name: pl.Series(values) for name, values in zip(feature_names(), numbers, strict=True)},
        prediction=answer,
    )


def events_of(log: Log, hour: int) -> pl.DataFrame:
    """The events about an hour's predictions, with when they are received: some late, twice, of two minds or astray."""
    random = np.random.default_rng((log.seed, hour, 1))
    count = round(log.an_hour * log.answered)
    ids = _ids(log, hour)
    times = _times(log, hour)
    chosen = np.sort(random.choice(log.an_hour, count, replace=False))
    delay = pl.Series((random.gamma(2.0, 4.5, count) * 3.6e9).astype(np.int64)).cast(pl.Duration("us"))
    bad = random.random(count) < 0.3
    events = pl.DataFrame({"prediction_id": ids.gather(chosen), "event_time": times.gather(chosen) + delay})
    events = events.with_columns(
        event=pl.Series(np.where(bad, "complaint", "done")),
        label=pl.Series(np.where(bad, "bad", "good")),
        confidence=pl.Series(np.where(bad, 1.0, 0.7)),
        received_at=pl.col("event_time") + pl.duration(minutes=5),
    )
    share = pl.Series(random.random(count))
    astray = pl.col("prediction_id").str.replace(r"^\S{8}", "astray00")
    events = events.with_columns(pl.when(share < 0.005).then(astray).otherwise("prediction_id").alias("prediction_id"))
    second = events.filter((share > 0.5) & (share < 0.53)).with_columns(
        pl.col("event_time", "received_at") + HOUR, event=pl.lit("done"), label=pl.lit("good"), confidence=pl.lit(0.7)
    )
    again = events.filter(share > 0.98).with_columns(pl.col("received_at") + HOUR)
    return pl.concat([events, second, again])


def feedback_by_hour(log: Log) -> Iterator[pl.DataFrame]:
    """Rows of the feedback table by the hour that they are received in; what comes after the end has not come."""
    waiting: list[pl.DataFrame] = []
    for hour in range(log.hours):
        waiting.append(events_of(log, hour))
        end = START + (hour + 1) * HOUR
        come = pl.concat(waiting)
        waiting = [come.filter(pl.col("received_at") >= end)]
        rows = come.filter(pl.col("received_at") < end).sort("received_at", maintain_order=True)
        rows = rows.with_columns(
            sample_keys(rows["prediction_id"]),
            batch_id=pl.lit(hour + 1, pl.Int64),
            date=pl.col("received_at").dt.date(),
        )
        yield rows.select(FEEDBACK.names()).cast(dict(FEEDBACK))  # type: ignore[arg-type]


def labels_of(log: Log, hour: int, predictions: pl.DataFrame) -> pl.DataFrame:
    """A label for every prediction of an hour, 3% of them bad, and a second opinion of one in fifty."""
    random = np.random.default_rng((log.seed, hour, 2))
    bad = random.random(predictions.height) < 0.03
    rows = predictions.select(
        "prediction_id",
        label=pl.Series(np.where(bad, "bad", "good")),
        confidence=pl.Series(np.where(bad, 1.0, 0.7)),
        event=pl.Series(np.where(bad, "complaint", "done")),
        event_time=pl.col("event_time") + 3 * HOUR,
        received_at=pl.col("event_time") + 4 * HOUR,
        batch_id=pl.lit(hour + 1, pl.Int64),
        sample_key="sample_key",
        date="date",
    )
    second = rows.filter(pl.Series(random.random(rows.height) < 0.02)).with_columns(
        pl.col("event_time", "received_at") + HOUR, event=pl.lit("done"), label=pl.lit("good"), confidence=pl.lit(0.7)
    )
    return pl.concat([rows, second]).select(LABELS.names()).cast(dict(LABELS))  # type: ignore[arg-type]


def _times(log: Log, hour: int) -> pl.Series:
    """Ascending times within the hour."""
    random = np.random.default_rng((log.seed, hour, 4))
    offsets = np.sort(random.integers(0, HOUR // timedelta(microseconds=1), log.an_hour))
    return pl.Series(offsets).cast(pl.Duration("us")) + (START + hour * HOUR)


def _ids(log: Log, hour: int) -> pl.Series:
    """Random ids in the form of a UUID, or of a half of one."""
    random = np.random.default_rng((log.seed, hour, 3))
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    width, dashes = (16, ()) if log.is_narrow else (36, (8, 13, 18, 23))
    places = [place for place in range(width) if place not in dashes]
    text = np.full((log.an_hour, width), ord("-"), np.uint8)
    text[:, places] = digits[random.integers(0, 16, (log.an_hour, len(places)), dtype=np.uint8)]
    offsets = np.arange(0, text.size + 1, width, dtype=np.int32)
    array = pa.StringArray.from_buffers(log.an_hour, pa.py_buffer(offsets), pa.py_buffer(text))
    return pl.Series(pl.from_arrow(array))
