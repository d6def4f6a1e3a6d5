"""Which rows an export has, and that their weights undo the sampling."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.errors import FlywheelError, ManifestError
from flywheel.export.classes import SCORE, Classes
from flywheel.export.rates import key_limit, rates_of
from flywheel.export.sample import select_training_rows, training_schema
from flywheel.lake.storage import Location
from flywheel.lake.tables import LABELS, pipeline_tables
from flywheel.manifest.pipeline import Pipeline
from flywheel.manifest.schema import output_schema
from flywheel.manifest.training import Sampling
from flywheel.records.sample_key import sample_keys

MakePipeline = Callable[..., Pipeline]
MakeRows = Callable[..., pl.DataFrame]
START = datetime(2013, 1, 1, tzinfo=UTC)

STRATEGIES: list[dict[str, Any]] = [
    {"strategy": "all"},
    {"strategy": "random", "rate": 0.3},
    {"strategy": "stratified", "positive_rate": 0.9, "negative_rate": 0.05},
    {"strategy": "hard_negative", "negative_rate": 0.1, "hard_threshold": 0.8},
]
EVERY_STRATEGY = [*STRATEGIES, {"strategy": "reservoir", "size": 137}]
strategies = pytest.mark.parametrize("sampling", EVERY_STRATEGY, ids=lambda sampling: sampling["strategy"])


def select(predictions: pl.DataFrame, labels: pl.DataFrame, pipeline: Pipeline, as_of: datetime) -> pl.DataFrame:
    return select_training_rows(predictions.lazy(), labels.lazy(), pipeline, as_of)


def by_hand(predictions: pl.DataFrame, labels: pl.DataFrame, pipeline: Pipeline, as_of: datetime) -> pl.DataFrame:
    """The same rows by another engine and another way: sort, take the first, compare in Python's integers."""
    assert pipeline.export is not None
    sampling = pipeline.export.sampling
    known = labels.filter(pl.col("received_at") <= as_of, pl.col("confidence") >= pipeline.export.min_confidence)
    first = known.sort("confidence", "event_time", "label", "event", descending=[True, False, False, False]).unique(
        "prediction_id", keep="first", maintain_order=True
    )
    seen = predictions.filter(pl.col("predicted_at") <= as_of)
    rows = seen.join(first.select("prediction_id", "label", "confidence", "event"), on="prediction_id")
    if sampling.strategy == "reservoir":
        kept = rows.sort("sample_key", "prediction_id").head(sampling.size or 0)
        kept = kept.with_columns(weight=pl.lit(rows.height / max(kept.height, 1)))
    else:
        rates = rates_of(sampling)
        share = [
            rates.positive if label == "late" else 1.0 if score > rates.hard_threshold else rates.negative
            for label, score in zip(rows["label"], rows["prediction"].struct.field("score"), strict=True)
        ]
        uniform = [key + 2**63 for key in rows["sample_key"]]
        rows = rows.with_columns(weight=1 / pl.Series(share, dtype=pl.Float64))
        kept = rows.filter(
            pl.Series([u < share * 2**64 for u, share in zip(uniform, share, strict=True)], dtype=pl.Boolean)
        )
    return kept.select(training_schema(pipeline).names()).sort("event_time", "prediction_id")


times = st.integers(0, 5).map(lambda hour: START + timedelta(hours=hour))
label_rows = st.lists(
    st.fixed_dictionaries(
        {
            "prediction_id": st.integers(0, 12).map(lambda index: f"AA-{index}"),
            "label": st.sampled_from(["late", "on_time"]),
            "confidence": st.sampled_from([0.5, 0.7, 1.0]),
            "event": st.sampled_from(["a", "b"]),
            "event_time": times,
            "received_at": times,
            "batch_id": st.integers(0, 3),
        }
    ),
    max_size=40,
)
LABEL_SCHEMA = {**LABELS, "sample_key": pl.Int64()}
del LABEL_SCHEMA["date"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    label_rows,
    st.sampled_from(EVERY_STRATEGY),
    st.sampled_from([0.0, 0.6]),
    st.randoms(use_true_random=False),
)
def test_rows_are_those_of_another_engine_whatever_their_order(
    make_pipeline: MakePipeline,
    make_predictions: MakeRows,
    rows: list[dict[str, Any]],
    sampling: dict[str, Any],
    min_confidence: float,
    random: Any,
) -> None:
    pipeline = make_pipeline({"sampling": sampling, "min_confidence": min_confidence})
    as_of = START + timedelta(days=20)
    received = as_of - timedelta(hours=3)
    shifted = [{**row, "received_at": row["received_at"] - START + received} for row in rows]
    predictions = make_predictions(10)
    # Rows of an earlier Flywheel have no key.
    labels = pl.DataFrame(shifted, schema=LABEL_SCHEMA)
    has_key = pl.Series([random.random() < 0.7 for _ in shifted], dtype=pl.Boolean)
    labels = labels.with_columns(pl.when(has_key).then(sample_keys(labels["prediction_id"])))
    expected = by_hand(predictions, labels, pipeline, as_of)
    assert select(predictions, labels, pipeline, as_of).equals(expected)
    shuffled = labels.sample(fraction=1, shuffle=True, seed=random.randint(0, 999))
    assert select(predictions.reverse(), shuffled, pipeline, as_of).equals(expected)


@strategies
def test_many_rows_agree_too(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime, sampling: Any
) -> None:
    predictions = make_predictions(5000)
    labels = make_labels(predictions)
    pipeline = make_pipeline({"sampling": sampling})
    rows = select(predictions, labels, pipeline, as_of)
    assert rows.equals(by_hand(predictions, labels, pipeline, as_of))
    assert rows.schema == training_schema(pipeline)
    assert rows["weight"].min() >= 1  # type: ignore[operator]


def test_all_keeps_every_row_with_weight_one(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    predictions = make_predictions(500)
    rows = select(predictions, make_labels(predictions), make_pipeline(), as_of)
    assert rows.height == 500
    assert rows["weight"].unique().to_list() == [1.0]


@pytest.mark.parametrize("sampling", STRATEGIES[1:], ids=lambda sampling: sampling["strategy"])
def test_weights_undo_the_sampling(make_predictions: MakeRows, make_labels: MakeRows, sampling: Any) -> None:
    """Keys on an even grid leave nothing to chance: weighted counts are the true ones, up to one row's weight."""
    count = 20_000
    labels = make_labels(make_predictions(count))
    # The grid is laid over each class by itself, so that the count of every class is exact up to one row.
    place = labels.select(pl.int_range(pl.len()).over("label"), size=pl.len().over("label"))
    keys = [-(2**63) + (2 * i + 1) * 2**63 // n for i, n in place.iter_rows()]
    labelled = labels.select("label", sample_key=pl.Series(keys)).with_columns(pl.lit(0.0).alias(SCORE))
    chosen = Sampling.model_validate({**sampling, "hard_threshold": 1.0})
    rows = Classes.of(rates_of(chosen), "late").weigh(labelled)
    estimated = dict(rows.group_by("label").agg(pl.col("weight").sum()).iter_rows())
    true = dict(labels.group_by("label").len().iter_rows())
    heaviest = float(rows["weight"].max())  # type: ignore[arg-type]
    assert rows.height < count
    assert all(abs(estimated[label] - true[label]) <= heaviest for label in true)


def test_hashed_keys_estimate_without_bias(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    """20,000 real ids at 5%: the estimate's standard deviation is sqrt(n (1 - p) / p), 2.8% here."""
    predictions = make_predictions(20_000)
    labels = make_labels(predictions)
    pipeline = make_pipeline({"sampling": {"strategy": "stratified", "negative_rate": 0.05}})
    rows = select(predictions, labels, pipeline, as_of)
    true = labels.filter(label="on_time").height
    estimate = rows.filter(label="on_time")["weight"].sum()
    assert abs(estimate - true) < 4 * (true * 0.95 / 0.05) ** 0.5
    assert rows.filter(label="late").height == labels.filter(label="late").height


def test_a_reservoir_weighs_exactly_what_it_stands_for(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    predictions = make_predictions(1000)
    labels = make_labels(predictions)
    small = select(predictions, labels, make_pipeline({"sampling": {"strategy": "reservoir", "size": 125}}), as_of)
    assert small.height == 125
    assert small["weight"].sum() == 1000
    larger = select(predictions, labels, make_pipeline({"sampling": {"strategy": "reservoir", "size": 250}}), as_of)
    assert set(small["prediction_id"]) < set(larger["prediction_id"])
    whole = select(predictions, labels, make_pipeline({"sampling": {"strategy": "reservoir", "size": 5000}}), as_of)
    assert whole.height == 1000
    assert whole["weight"].unique().to_list() == [1.0]


def test_a_higher_rate_only_adds_rows(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    predictions = make_predictions(3000)
    labels = make_labels(predictions)
    kept = [
        set(select(predictions, labels, make_pipeline({"sampling": sampling}), as_of)["prediction_id"])
        for sampling in ({"strategy": "random", "rate": rate} for rate in (0.1, 0.2, 0.9))
    ]
    assert kept[0] < kept[1] < kept[2]


@given(st.floats(min_value=1e-12, max_value=1.0))
def test_the_limit_keeps_the_rate(rate: float) -> None:
    kept = key_limit(rate) + 2**63 + 1
    assert 1 <= kept <= 2**64
    assert abs(kept / 2**64 - rate) < 1e-15


@strategies
def test_only_what_was_known_at_the_time_is_seen(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime, sampling: Any
) -> None:
    predictions = make_predictions(800)
    labels = make_labels(predictions)
    then = as_of - timedelta(days=20)
    pipeline = make_pipeline({"sampling": sampling})
    past = select(
        predictions.filter(pl.col("predicted_at") <= then), labels.filter(pl.col("received_at") <= then), pipeline, then
    )
    assert 0 < past.height < 800
    assert select(predictions, labels, pipeline, then).equals(past)


def test_a_later_doubtful_label_changes_nothing_and_a_surer_one_wins(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    predictions = make_predictions(50)
    labels = make_labels(predictions, 0.0)
    later = timedelta(minutes=30)
    doubtful = labels.with_columns(
        label=pl.lit("late"), confidence=pl.lit(0.2), received_at=pl.col("received_at") + later
    )
    surer = doubtful.with_columns(confidence=pl.lit(0.9))
    rows = select(predictions, pl.concat([labels, doubtful]), make_pipeline(), as_of)
    assert rows["label"].unique().to_list() == ["on_time"]
    rows = select(predictions, pl.concat([labels, surer]), make_pipeline(), as_of)
    assert rows["label"].unique().to_list() == ["late"]
    assert rows["confidence"].unique().to_list() == [0.9]


def test_an_id_that_was_logged_twice_counts_once(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    predictions = make_predictions(60)
    again = predictions.with_columns(
        batch_id=pl.col("batch_id") + 1, predicted_at=pl.col("predicted_at") + timedelta(hours=1), wind=pl.lit(-1.0)
    )
    rows = select(pl.concat([again, predictions]), make_labels(predictions), make_pipeline(), as_of)
    assert rows["prediction_id"].is_unique().all()
    assert rows["wind"].min() >= 0  # type: ignore[operator]
    pipeline = make_pipeline({"sampling": {"strategy": "reservoir", "size": 30}})
    rows = select(pl.concat([again, predictions]), make_labels(predictions), pipeline, as_of)
    assert rows.height == 30
    assert rows["weight"].sum() == 60


def test_fallback_answers_are_kept(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    predictions = make_predictions(200).with_columns(
        status=pl.lit("return_null"), prediction=pl.lit(None, pl.Struct({"label": pl.String, "score": pl.Float64}))
    )
    sampling = {"strategy": "hard_negative", "negative_rate": 0.5}
    rows = select(predictions, make_labels(predictions), make_pipeline({"sampling": sampling}), as_of)
    assert set(rows.filter(label="on_time")["weight"]) == {2.0}


def test_a_feature_that_no_batch_has_yet_is_null(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    predictions = make_predictions(20)
    rows = select(predictions.drop("gust"), make_labels(predictions), make_pipeline(), as_of)
    assert rows["gust"].null_count() == 20
    assert rows.schema["gust"] == pl.Float64


def test_nothing_labelled_gives_no_rows_with_all_columns(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    for sampling in EVERY_STRATEGY:
        pipeline = make_pipeline({"sampling": sampling})
        rows = select(make_predictions(20), make_labels(make_predictions(20)).clear(), pipeline, as_of)
        assert rows.is_empty()
        assert rows.schema == training_schema(pipeline)


def test_hard_negatives_need_a_score(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    pipeline = make_pipeline({"sampling": {"strategy": "hard_negative"}})
    outputs = {"value": {"tensor": "v"}}
    inference = pipeline.spec.stages[1]
    config = inference.config.model_copy(update={"outputs": outputs})  # type: ignore[union-attr]
    stages = [pipeline.spec.stages[0], inference.model_copy(update={"config": config})]
    spec = pipeline.spec.model_copy(update={"training": None, "stages": stages})
    predictions = make_predictions(5)
    with pytest.raises(FlywheelError, match=r"needs prediction\.score"):
        select(predictions, make_labels(predictions), pipeline.model_copy(update={"spec": spec}), as_of)


def test_stratified_needs_a_positive_label(
    make_pipeline: MakePipeline, make_predictions: MakeRows, make_labels: MakeRows, as_of: datetime
) -> None:
    pipeline = make_pipeline({"sampling": {"strategy": "stratified"}})
    spec = pipeline.spec.model_copy(update={"feedback": None, "training": None})
    predictions = make_predictions(5)
    with pytest.raises(ManifestError, match="positive label"):
        select(predictions, make_labels(predictions), pipeline.model_copy(update={"spec": spec}), as_of)


@strategies
def test_from_the_lake(
    make_pipeline: MakePipeline,
    make_predictions: MakeRows,
    make_labels: MakeRows,
    as_of: datetime,
    tmp_path: Path,
    sampling: Any,
) -> None:
    """Delta tables give the rows that frames give, though their files also know a date."""
    pipeline = make_pipeline({"sampling": sampling})
    predictions = make_predictions(400)
    labels = make_labels(predictions)
    tables = pipeline_tables(Location(str(tmp_path)), "flights", output_schema(pipeline))
    day = pl.col("event_time").dt.date().alias("date")
    for number, (part, its_labels) in enumerate(
        zip(predictions.iter_slices(150), labels.iter_slices(150), strict=True)
    ):
        tables.predictions.append_once(part.with_columns(day), "p", number)
        tables.labels.append_once(its_labels.with_columns(day), "p", number)
    logged, stated = tables.predictions.scan(tables.predictions.files()), tables.labels.scan(tables.labels.files())
    rows = select_training_rows(logged, stated, pipeline, as_of)
    assert rows.equals(select(predictions, labels, pipeline, as_of))
