"""Line 2: feedback joined to 20 million predictions, all of it and one new hour.

What is measured is ``join_feedback`` and ``winning_labels``, as the flows call them: events become label rows, and
these the label that counts. The limit is DuckDB's bare hash join of the same keys and times.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable
from deltalake.transaction import AddAction
from speed_line import Line, at_least, at_most
from speed_run import Contender, Cost, compare
from speed_tables import HOUR, MAX_DELAY, NAME, START, Log, made_tables, tables_of

from flywheel.feedback.join import JoinBatch, join_feedback
from flywheel.feedback.waiting import Waiting
from flywheel.feedback.winning import winning_labels
from flywheel.lake.duck import connect
from flywheel.lake.storage import Location
from flywheel.lake.tables import UTC_TIME, LakeTable, PipelineTables

ISSUE = "2"
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Sizes:
    """``log``: what is joined; ``larger``: what must not take more memory, in batches as the flow makes them."""

    log: Log
    larger: Log | None
    runs: int
    with_pandas: bool = True


FULL = Sizes(Log(20_000_000), Log(100_000_000, is_narrow=True), runs=5)
SLICE = Sizes(Log(400_000, hours=20), None, runs=2, with_pandas=False)


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Compare the full join with its limit and with pandas, and one hour of it with all, after ten days and a year."""
    log = sizes.log
    made_tables(log, folder)
    history(log, folder)
    asked = {"rows": log.rows, "hours": log.hours, "folder": str(folder)}
    names = ["ours", "bare", "hour", "year"]
    contenders = [Contender(name, f"speed_join:{name}", asked) for name in names]
    costs = compare(contenders, sizes.runs)
    ours, bare, hour, year = (costs[name] for name in names)
    batches = _batched(log, folder)
    beside = f"{ours.cpu:.1f} s beside {bare.cpu:.1f} s for {log.rows:,} predictions, {_of(ours, 'events'):,} events"
    lines = [
        at_most(
            ISSUE, "feedback, all joined to labels, beside a bare hash join", ours.cpu / bare.cpu, "×", 1.8, beside
        ),
        _memory(log, batches, ours, "peak memory of the full join, in the flow's batches"),
        _hour(ours, hour),
        _year(hour, year),
    ]
    if sizes.with_pandas:
        pandas = compare([Contender("pandas", "speed_join:with_pandas", asked)], runs=1, warm_ups=0)["pandas"]
        _require_equal(ours, pandas)
        lines += _beside_pandas(ours, batches, pandas)
    if sizes.larger:
        made_tables(sizes.larger, folder)
        larger = _batched(sizes.larger, folder)
        lines.append(_memory(sizes.larger, larger, ours, "the same at five times the predictions"))
    return lines


def _hour(ours: Cost, hour: Cost) -> Line:
    beside = f"{hour.cpu * 1000:.0f} ms, {_of(hour, 'events'):,} events"
    return at_most(ISSUE, "one new hour of feedback, of the full join", 100 * hour.cpu / ours.cpu, "%", 5, beside)


def _year(hour: Cost, year: Cost) -> Line:
    assert year.returned == hour.returned
    beside = f"{year.cpu * 1000:.0f} ms with 365 days in both logs, {hour.cpu * 1000:.0f} ms with ten"
    return at_most(ISSUE, "the same hour after a year of history", year.cpu / hour.cpu, "×", 1.15, beside)


def _beside_pandas(ours: Cost, batches: Cost, pandas: Cost) -> list[Line]:
    memory = f"{pandas.peak / _GIB:.1f} GiB beside {batches.peak / _GIB:.2f}; all at once {ours.peak / _GIB:.2f}"
    times = (
        f"{pandas.cpu:.0f} s beside {ours.cpu:.1f} s; in the flow's batches, with what is appended {batches.cpu:.1f}"
    )
    return [
        at_least(ISSUE, "the full join, CPU less than pandas", pandas.cpu / ours.cpu, "×", 5, times),
        at_least(ISSUE, "the same in the flow's batches, memory less", pandas.peak / batches.peak, "×", 5, memory),
    ]


def _batched(log: Log, folder: Path) -> Cost:
    """What the same costs as the flow does it after an outage, a million events at a time."""
    asked = {"rows": log.rows, "hours": log.hours, "folder": str(folder), "is_narrow": log.is_narrow}
    return compare([Contender("batches", "speed_join:in_batches", asked)], runs=1, warm_ups=0)["batches"]


def _memory(log: Log, batches: Cost, ours: Cost, what: str) -> Line:
    beside = f"{log.rows:,} predictions, {_of(batches, 'events'):,} events, {batches.cpu:.0f} s with what is appended"
    at_once = f"the first log at once {ours.peak / _GIB:.2f} GiB"
    return at_most(ISSUE, what, batches.peak / _GIB, "GiB", 2, f"{beside}; {at_once}")


def ours(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """Every event at once, as after an outage of ten days: to label rows, and those to the labels that count."""
    log, tables = Log(rows, hours), _tables(rows, hours, folder)
    events = tables.feedback.read(tables.feedback.files()).with_columns(batch_id=pl.lit(1, pl.Int64))
    first = replace(tables, labels=_nowhere(tables.labels))

    def call() -> dict[str, int]:
        joined = join_feedback(first, JoinBatch(1, events, log.end, None, hours, MAX_DELAY, _nothing_waits(events)))
        labels = winning_labels(joined.labels.lazy(), log.end)
        return {"events": events.height, "rows": joined.labels.height, **_sums(labels)}

    return call


def bare(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """Events and predictions in DuckDB, joined by nothing but the id, the times subtracted."""
    tables = _tables(rows, hours, folder)
    events = tables.feedback.read(tables.feedback.files()).to_arrow()
    files = tables.predictions.files()

    def call() -> list[int]:
        with connect() as connection:
            connection.register("events", events)
            connection.read_parquet(files, hive_partitioning=True).create_view("predictions")
            found = connection.sql(
                "SELECT count(*), sum(epoch_us(e.event_time) - epoch_us(p.event_time))::BIGINT"
                " FROM events AS e INNER JOIN predictions AS p USING (prediction_id)"
            ).fetchall()
        return list(found[0])

    return call


def hour(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """The newest hour, with what the hours before it have labelled and left waiting."""
    log = Log(rows, hours)
    return _newest_hour(log, replace(_tables(rows, hours, folder), labels=_joined(log, Path(folder)).labels), folder)


def year(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """The same, with a year in the logs. The older files are not there: a join that opened one would fail."""
    log = Log(rows, hours)
    place = _joined(log, Path(folder)).year
    tables = _tables(rows, hours, folder)
    predictions = replace(tables.predictions, location=place.child("predictions"))
    labels = replace(tables.labels, location=place.child("labels"))
    return _newest_hour(log, replace(tables, predictions=predictions, labels=labels), folder)


def with_pandas(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """The same labels by merge, a filter, a sort and drop_duplicates."""
    import pandas as pd

    tables = _tables(rows, hours, folder)
    logged, said = tables.predictions.files(), tables.feedback.files()

    def call() -> dict[str, int]:
        columns = ["prediction_id", "event_time"]
        predictions = pd.concat([pd.read_parquet(file, columns=columns, partitioning=None) for file in logged])
        events = pd.concat([pd.read_parquet(file, partitioning=None) for file in said])
        identity = ["prediction_id", "label", "event", "event_time"]
        events = events.dropna(subset="label").drop_duplicates(identity)
        both = events.merge(predictions.rename(columns={"event_time": "predicted"}), on="prediction_id")
        labels = both[both["event_time"] - both["predicted"] <= MAX_DELAY]
        ordered = labels.sort_values(["confidence", "event_time", "label"], ascending=[False, True, True])
        won = ordered.drop_duplicates("prediction_id")
        return {"events": 0, "rows": len(labels), **_sums(pl.from_pandas(won[["label", "event_time"]]))}

    return call


def in_batches(rows: int, hours: int, folder: str, *, is_narrow: bool) -> Callable[[], object]:
    """Every event in batches as large as the flow's, each join with what the one before it has left waiting."""
    from flywheel.feedback.batch import MAX_EVENTS

    log = Log(rows, hours, is_narrow=is_narrow)
    tables = tables_of(log, Path(folder))

    def call() -> dict[str, int]:
        labels = replace(tables.labels, location=tables.labels.location.child("batches"))
        place = replace(tables, labels=labels)
        shutil.rmtree(labels.location.uri, ignore_errors=True)
        waiting, labelled, seen = None, 0, 0
        for number, events in enumerate(_batches(tables.feedback, MAX_EVENTS), start=1):
            batch = JoinBatch(number, events, log.end, log.end, hours, MAX_DELAY, waiting or _nothing_waits(events))
            joined = join_feedback(place, batch)
            place.labels.append_once(joined.labels, NAME, number)
            waiting, labelled, seen = joined.waiting, labelled + joined.labels.height, seen + events.height
        return {"events": seen, "rows": labelled}

    return call


@dataclass(frozen=True, slots=True)
class _Joined:
    """The labels of all hours but the newest, what they left waiting, and logs with a year before them."""

    labels: LakeTable
    waiting: Path
    year: Location


def history(log: Log, folder: Path) -> None:
    """Join all hours but the newest, one after the other; and write logs that have a year of files before them."""
    joined, tables = _joined(log, folder), tables_of(log, folder)
    if joined.waiting.exists():
        return
    for place in (joined.labels.location, joined.year):
        shutil.rmtree(place.uri, ignore_errors=True)
    waiting = None
    for number in range(1, log.hours):
        batch = _hour_of(log, tables, number, waiting)
        result = join_feedback(replace(tables, labels=joined.labels), batch)
        joined.labels.append_once(result.labels, NAME, number)
        waiting = result.waiting
    assert waiting is not None
    for table in (tables.predictions, joined.labels):
        _with_a_year(table, joined.year.child("labels" if table is joined.labels else "predictions").uri)
    joined.waiting.write_bytes(waiting.to_bytes())


def _with_a_year(table: LakeTable, folder: str) -> None:
    """Write a log that names the table's files where they are, and a file for each of the 355 days before them.

    One a day is what the nightly ``maintain`` leaves.
    """
    here = DeltaTable(table.location.uri)
    DeltaTable.create(folder, here.schema(), partition_by=["date"])
    kept = [json.loads(line)["add"] for line in _log_lines(here) if '"add"' in line]
    days = [START - HOUR * 24 * (day + 1) for day in range(355)]
    gone = [AddAction(f"date={day.date()}/gone.parquet", 1 << 27, _on(day), 0, True, _statistics(day)) for day in days]
    linked = [_linked(table, folder, add) for add in kept]
    DeltaTable(folder).create_write_transaction([*gone, *linked], "append", here.schema(), partition_by=["date"])
    DeltaTable(folder).create_checkpoint()


def _linked(table: LakeTable, folder: str, add: dict[str, Any]) -> AddAction:
    target = Path(folder) / add["path"]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.hardlink_to(Path(table.location.uri) / add["path"])
    return AddAction(
        add["path"], add["size"], add["partitionValues"], add["modificationTime"], data_change=True, stats=add["stats"]
    )


def _log_lines(table: DeltaTable) -> list[str]:
    log = Path(table.table_uri.removeprefix("file://")) / "_delta_log"
    return [line for file in sorted(log.glob("*.json")) for line in file.read_text().splitlines()]


def _on(day: datetime) -> dict[str, str | None]:
    return {"date": str(day.date())}


def _statistics(day: datetime) -> str:
    first, last = day, day + 23 * HOUR
    bounds = [{"event_time": f"{each:%Y-%m-%dT%H:%M:%S}.000Z", "batch_id": 0} for each in (first, last)]
    return json.dumps({"numRecords": 2_000_000, "minValues": bounds[0], "maxValues": bounds[1]})


def _newest_hour(log: Log, tables: PipelineTables, folder: str) -> Callable[[], object]:
    waiting = Waiting.from_bytes(_joined(log, Path(folder)).waiting.read_bytes())
    batch = _hour_of(log, tables, log.hours, waiting)

    def call() -> dict[str, int]:
        joined = join_feedback(tables, batch)
        return {"events": batch.events.height, "rows": joined.labels.height, "waiting": joined.counts.waiting}

    return call


def _hour_of(log: Log, tables: PipelineTables, number: int, waiting: Waiting | None) -> JoinBatch:
    events = tables.feedback.read(tables.feedback.files(batches=[number])).filter(pl.col("batch_id") == number)
    as_of = START + number * HOUR
    before = as_of - HOUR if number > 1 else None
    return JoinBatch(number, events, as_of, before, number, MAX_DELAY, waiting or _nothing_waits(events))


def _batches(feedback: LakeTable, rows: int) -> Iterator[pl.DataFrame]:
    """Yield the events in the order they came in, at most ``rows`` at a time."""
    held: list[pl.DataFrame] = []
    for file in reversed(feedback.files()):
        held.append(feedback.read([file]))
        if sum(part.height for part in held) >= rows:
            come = pl.concat(held)
            yield come.head(rows)
            held = [come.slice(rows)]
    yield pl.concat(held)


def _tables(rows: int, hours: int, folder: str) -> PipelineTables:
    return tables_of(Log(rows, hours), Path(folder))


def _joined(log: Log, folder: Path) -> _Joined:
    lake = Location(str(log.folder(folder) / "joined"))
    labels = replace(tables_of(log, folder).labels, location=lake.child("labels"))
    return _Joined(labels, Path(lake.child("waiting.parquet").uri), lake.child("year"))


def _nowhere(table: LakeTable) -> LakeTable:
    return replace(table, location=table.location.child("none"))


def _nothing_waits(events: pl.DataFrame) -> Waiting:
    return Waiting(events.clear(), 0, MAX_DELAY)


def _sums(labels: pl.DataFrame) -> dict[str, int]:
    """What tells one set of labels from another: how many of each, and the sum of their times."""
    bad = labels.filter(pl.col("label") == "bad").height
    return {
        "labels": labels.height,
        "bad": bad,
        "times": int(labels["event_time"].cast(UTC_TIME).dt.epoch("ms").sum() % (1 << 52)),
    }


def _require_equal(ours: Cost, theirs: Cost) -> None:
    first, second = dict(ours.returned), dict(theirs.returned)  # type: ignore[call-overload]
    first["events"] = second["events"] = 0
    assert first == second, f"the joins differ: {first} and {second}"


def _of(cost: Cost, name: str) -> int:
    return int(cost.returned[name])  # type: ignore[index]
