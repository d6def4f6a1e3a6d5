"""Line 6: a training export of 20 million labelled rows that keeps every positive and 5% of the others.

What is measured is ``select_training_rows`` and ``write_export``, as the flow calls them; the data-quality gate between
them is measured with line 7. The limit is DuckDB's scan of the same columns of the same two tables, the peer pyarrow by
the same plan: it is given the rule that few rows need a label, and their keys, and writes with ``write_dataset``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speed_line import Line, at_least, at_most
from speed_run import Contender, compare
from speed_tables import HOUR, Log, bench_pipeline, made_tables, tables_of

from flywheel.export.manifest import Lineage
from flywheel.export.rates import key_limit
from flywheel.export.sample import export_config, logged_columns, select_training_rows
from flywheel.export.write import write_export
from flywheel.lake.duck import connect
from flywheel.lake.storage import StorageMap

ISSUE = "6"
_GIB = 1 << 30
# Measured on four million rows, on a busy machine.
_PROFILE = (
    "a third is the kernel's, for memory that Polars gives back soon and takes again (told to keep it five seconds: "
    "13% less, with 10% more memory); tried without gain: the in-memory engine, a day or a file at a time, huge pages"
)
_LABEL_COLUMNS = ["prediction_id", "label", "confidence", "event", "event_time", "received_at"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """``log``: what is exported."""

    log: Log
    runs: int


FULL = Sizes(Log(20_000_000), runs=5)
SLICE = Sizes(Log(400_000, hours=20), runs=2)


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Compare the export with the scan of what it is made of, and with pyarrow."""
    log = sizes.log
    made_tables(log, folder)
    asked = {"rows": log.rows, "hours": log.hours, "folder": str(folder)}
    names = ["ours", "scan", "with_pyarrow"]
    costs = compare([Contender(name, f"speed_export:{name}", asked) for name in names], sizes.runs)
    shutil.rmtree(folder / "exported", ignore_errors=True)
    ours, scan, peer = (costs[name] for name in names)
    assert ours.returned == peer.returned, f"the exports differ: {ours.returned} and {peer.returned}"
    beside = f"{ours.cpu:.1f} s beside {scan.cpu:.1f} s for {log.rows:,} labelled rows; {_PROFILE}"
    memory = f"write_dataset {peer.cpu:.1f} s, {peer.peak / _GIB:.2f} GiB; ours {ours.peak / _GIB:.2f} GiB"
    return [
        at_most(ISSUE, "export, 5% of negatives, beside scanning the rows", ours.cpu / scan.cpu, "×", 1.4, beside),
        at_least(ISSUE, "export, CPU less than pyarrow's write_dataset", peer.cpu / ours.cpu, "×", 1.7, memory),
    ]


def ours(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """Select and write, one file a day; every call writes an export of its own."""
    log = Log(rows, hours)
    tables, pipeline = tables_of(log, Path(folder)), bench_pipeline()
    storage, as_of = StorageMap(base=Path(folder) / "exported"), log.end + 24 * HOUR
    lineage = Lineage(pipeline=pipeline.name, revision=1, as_of=as_of)

    def call() -> list[float]:
        shutil.rmtree(storage.base, ignore_errors=True)
        logged = tables.predictions.scan(tables.predictions.files())
        found = select_training_rows(logged, tables.labels.scan(tables.labels.files()), pipeline, as_of)
        written = write_export(storage, "ours", found, export_config(pipeline), "ours", lineage)
        return [written.rows, written.weight]

    return call


def scan(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """Read every column that an export is made of, and do nothing with it but add it up."""
    tables = tables_of(Log(rows, hours), Path(folder))
    predictions, labels = tables.predictions.files(), tables.labels.files()
    columns = logged_columns(bench_pipeline())

    def call() -> int:
        with connect() as connection:
            for name, files, names in (("p", predictions, columns), ("l", labels, _LABEL_COLUMNS)):
                relation = connection.read_parquet(files, hive_partitioning=True)
                relation.create_view(name)
                types = dict(zip(relation.columns, map(str, relation.types), strict=True))
                sums = ", ".join(_sum(column, types[column]) for column in names)
                connection.sql(f"SELECT {sums} FROM {name}").fetchall()
        return len(columns)

    return call


def with_pyarrow(rows: int, hours: int, folder: str) -> Callable[[], object]:
    """The same rows and weights: filters on both tables, a join of what is left, ``write_dataset`` by date."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    tables, target = tables_of(Log(rows, hours), Path(folder)), Path(folder) / "exported" / "pyarrow"
    logged, stated = ds.dataset(tables.predictions.files()), ds.dataset(tables.labels.files())
    columns, limit = logged_columns(bench_pipeline()), key_limit(0.05)

    def call() -> list[float]:
        shutil.rmtree(target, ignore_errors=True)
        bad = stated.to_table(["sample_key"], filter=ds.field("label") == "bad")["sample_key"]
        wanted = (ds.field("sample_key") <= limit) | ds.field("sample_key").isin(bad)
        chosen = logged.to_table(columns, filter=wanted)
        said = stated.to_table(_LABEL_COLUMNS, filter=wanted)
        order = [("confidence", "descending"), ("event_time", "ascending"), ("label", "ascending")]
        said = said.sort_by(order).group_by("prediction_id", use_threads=False)
        won = said.aggregate([(name, "first") for name in ("label", "confidence", "event")])
        won = won.rename_columns(["prediction_id", "label", "confidence", "event"])
        both = chosen.drop_columns(["prediction"]).join(won, "prediction_id", join_type="inner")
        is_bad = pc.equal(both["label"], "bad")
        both = both.append_column("weight", pc.if_else(is_bad, 1.0, 20.0))
        both = both.filter(pc.or_(is_bad, pc.less_equal(both["sample_key"], limit)))
        both = both.append_column("date", both["event_time"].cast(pa.date32())).sort_by("event_time")
        written = ds.ParquetFileFormat().make_write_options(compression="zstd")
        ds.write_dataset(
            both, target, format="parquet", partitioning=["date"], partitioning_flavor="hive", file_options=written
        )
        return [both.num_rows, pc.sum(both["weight"]).as_py()]

    return call


def _sum(column: str, kind: str) -> str:
    if kind.startswith("STRUCT"):
        return f"sum(strlen({column}.label)), sum({column}.score)"
    if kind == "VARCHAR":
        return f"sum(strlen({column}))"
    return f"max({column})" if kind.startswith("TIMESTAMP") else f"sum({column})"
