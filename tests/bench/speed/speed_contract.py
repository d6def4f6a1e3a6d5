"""Line 7: the row contract of a batch beside great_expectations over the same rules, in equal counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from speed_line import Line, at_least
from speed_run import Contender, compare

from flywheel.manifest.jsonpath import JsonPath
from flywheel.manifest.pipeline import Pipeline
from flywheel.records.contract import check_records
from flywheel.records.prepare import needed_paths
from flywheel.records.records import read_records

SEED = 7
PLANS = ["basic", "plus", "pro"]
EVENT_TIME = JsonPath("$.at")
START = datetime(2026, 1, 1, tzinfo=UTC)
# What our reasons say of each rule, in the order of the expectations.
RULES = (
    "prediction_id ($.id) is missing",
    "prediction_id came earlier in this batch",
    "amount is missing",
    "amount is below the minimum 0",
    "amount is above the maximum 1000",
    "items is missing",
    "items is above the maximum 99",
    "plan is none of the categories",
    "share is above the maximum 1",
    "plan is missing",
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows a batch has, with the goal of each."""

    rows: tuple[tuple[int, float], ...]
    runs: int


FULL = Sizes(((10_000, 20.0), (1_000_000, 8.0)), 5)
SLICE = Sizes(((10_000, 20.0),), 2)


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Ours against theirs at each size; different counts are an error."""
    del folder
    return [_line(rows, goal, sizes.runs) for rows, goal in sizes.rows]


def _line(rows: int, goal: float, runs: int) -> Line:
    ours, theirs = "ours", "great_expectations"
    functions = {ours: "speed_contract:conformed", theirs: "speed_contract:expected"}
    found = compare([Contender(name, function, {"rows": rows}) for name, function in functions.items()], runs)
    assert found[ours].returned == found[theirs].returned, found
    return at_least(
        "7",
        f"less processor time than great_expectations, {len(RULES)} rules, {rows:,} rows",
        found[theirs].cpu / found[ours].cpu,
        "×",
        goal,
        f"{1000 * found[theirs].cpu:,.0f} ms; ours {1000 * found[ours].cpu:,.1f} ms, which reads "
        f"types and times too; both refuse {sum(found[ours].returned):,} times",  # type: ignore[call-overload]
    )


def drawn(rows: int) -> pl.DataFrame:
    """A batch in which one row of a hundred breaks one of the rules, each rule as often."""
    rng = np.random.default_rng(SEED)
    ids = [f"order-{number:09}" for number in range(rows)]
    frame = pl.DataFrame(
        {
            "$.id": ids,
            "$.at": pl.Series(START.timestamp() + np.arange(rows) / 100).cast(pl.Float64),
            "$.amount": rng.gamma(2.0, 50.0, rows).clip(0, 1000),
            "$.items": rng.integers(0, 99, rows),
            "$.share": rng.random(rows),
            "$.plan": rng.choice(PLANS, rows),
        }
    )
    broken = {rule: pl.int_range(pl.len()) % 1000 == 10 * place + 5 for place, rule in enumerate(RULES)}
    return frame.with_columns(
        pl.when(broken[RULES[0]])
        .then(None)
        .when(broken[RULES[1]])
        .then(pl.col("$.id").shift(1))
        .otherwise("$.id")
        .alias("$.id"),
        pl.when(broken[RULES[2]])
        .then(None)
        .when(broken[RULES[3]])
        .then(-1.0)
        .when(broken[RULES[4]])
        .then(2000.0)
        .otherwise("$.amount")
        .alias("$.amount"),
        pl.when(broken[RULES[5]]).then(None).when(broken[RULES[6]]).then(500).otherwise("$.items").alias("$.items"),
        pl.when(broken[RULES[7]])
        .then(pl.lit("gold"))
        .when(broken[RULES[9]])
        .then(None)
        .otherwise("$.plan")
        .alias("$.plan"),
        pl.when(broken[RULES[8]]).then(1.5).otherwise("$.share").alias("$.share"),
    )


def pipeline() -> Pipeline:
    """The same rules in a manifest."""
    features = [
        {"name": "amount", "source_field": "$.amount", "minimum": 0, "maximum": 1000},
        {"name": "items", "source_field": "$.items", "type": "integer", "maximum": 99},
        {"name": "share", "source_field": "$.share", "maximum": 1},
        {"name": "plan", "source_field": "$.plan", "type": "category", "categories": PLANS, "on_unknown": "quarantine"},
    ]
    inference = {
        "model_endpoint": "server:1",
        "model_id": "orders",
        "input_features": [each["name"] for each in features],
    }
    stages = [
        {"id": "features", "type": "feature-extraction", "config": {"features": features}},
        {"id": "inference", "type": "ml-inference", "config": inference},
    ]
    document = {"apiVersion": "flywheel-ml.io/v1", "kind": "FlywheelPipeline", "metadata": {"name": "orders"}}
    return Pipeline.model_validate(
        {**document, "spec": {"source": "orders", "prediction_id": "$.id", "stages": stages}}
    )


def conformed(rows: int) -> Callable[[], object]:
    """What every batch goes through before the model is asked: how often each rule is broken."""
    values, rules = drawn(rows), pipeline()
    records = read_records(values.select(needed_paths(rules, EVENT_TIME)), "bench", 0, values.to_struct())

    def call() -> object:
        found = check_records(records, rules, EVENT_TIME).complaints
        counts = {f"{each.subject} {each.says}": int(each.where.sum()) for each in found}
        return [counts.get(rule, 0) for rule in RULES]

    return call


def expected(rows: int) -> Callable[[], object]:
    """The same rules as expectations on a pandas frame, which is the fastest that great_expectations has."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("bench").add_dataframe_asset("orders")
    definition = asset.add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite(
        name="orders",
        expectations=[
            gxe.ExpectColumnValuesToNotBeNull(column="$.id"),
            gxe.ExpectColumnValuesToBeUnique(column="$.id"),
            gxe.ExpectColumnValuesToNotBeNull(column="$.amount"),
            gxe.ExpectColumnValuesToBeBetween(column="$.amount", min_value=0),
            gxe.ExpectColumnValuesToBeBetween(column="$.amount", max_value=1000),
            gxe.ExpectColumnValuesToNotBeNull(column="$.items"),
            gxe.ExpectColumnValuesToBeBetween(column="$.items", max_value=99),
            gxe.ExpectColumnValuesToBeInSet(column="$.plan", value_set=PLANS),
            gxe.ExpectColumnValuesToBeBetween(column="$.share", max_value=1),
            gxe.ExpectColumnValuesToNotBeNull(column="$.plan"),
        ],
    )
    frame = drawn(rows).to_pandas()

    def call() -> object:
        found = definition.get_batch({"dataframe": frame}).validate(suite)
        counts = [int(each.result["unexpected_count"]) for each in found.results]
        # It counts every row of a pair with one id; we keep the first.
        return [
            count // 2 if rule.endswith("in this batch") else count for rule, count in zip(RULES, counts, strict=True)
        ]

    return call
