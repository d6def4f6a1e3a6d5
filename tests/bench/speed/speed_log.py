"""Line 3: the prediction log. Micro-batches appended one after the other by the pipeline's own append, on disk and on
S3; then maintained, and scanned beside plain Parquet that was written well."""

from __future__ import annotations

import atexit
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import isclose
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import cast

import polars as pl
from pydantic import SecretStr
from speed_line import Line, at_most
from speed_pipeline import DAY, FEATURES, START, Stream, drawn_records
from speed_run import Contender, compare

from flywheel.lake.storage import Location, StorageMap
from flywheel.lake.tables import LakeTable
from flywheel.maintenance.compact import compact_table
from flywheel.maintenance.vacuum import shorten_log, vacuum_table
from flywheel.manifest.documents import StorageSpec

HERE = "speed_log"
APP = "orders/records"


@dataclass(frozen=True, slots=True)
class Sizes:
    """``batches`` of ``rows`` on disk, ``on_s3`` of them in a bucket (0: none), ``a_day`` batches for each date."""

    batches: int
    rows: int
    on_s3: int
    a_day: int
    runs: int


FULL = Sizes(batches=1_000, rows=10_000, on_s3=200, a_day=100, runs=7)
SLICE = Sizes(batches=120, rows=1_000, on_s3=0, a_day=60, runs=2)


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Every figure of line 3."""
    place = folder / "log"
    shutil.rmtree(place, ignore_errors=True)
    lines = [append_line("disk", sizes, {"place": str(place / "log")})]
    if sizes.on_s3:
        lines.append(append_line("S3", replace(sizes, batches=sizes.on_s3), {"place": "s3"}))
    lines += scan_lines(place, sizes)
    shutil.rmtree(place)
    return lines


def append_line(where: str, sizes: Sizes, place: dict[str, str]) -> Line:
    """The mean cost of the last tenth of the appends beside that of the first, processor and disk included."""
    arguments = {"batches": sizes.batches, "rows": sizes.rows, "a_day": sizes.a_day, **place}
    found = compare([Contender("append", f"{HERE}:appended", arguments)], runs=1, warm_ups=0)["append"]
    seconds = cast("list[float]", found.returned)
    tenth = len(seconds) // 10
    first, last = mean(seconds[:tenth]), mean(seconds[-tenth:])
    beside = f"{sizes.batches:,} of {sizes.rows:,} rows: {1000 * first:.1f} ms an append at first"
    return at_most("3", f"append on {where}, last tenth by first", last / first, "×", 1.3, beside)


def scan_lines(place: Path, sizes: Sizes) -> list[Line]:
    """Scans of the maintained log beside those of plain files, with all columns' sums as the answer."""
    maintain(place / "log")
    _write_well(place)
    both = [Contender(name, f"{HERE}:scanned", {"place": str(place), "name": name}) for name in ("log", "plain")]
    found = compare(both, sizes.runs)
    ours, plain = (cast("list[float]", found[name].returned) for name in ("log", "plain"))
    assert all(isclose(one, other, abs_tol=1e-3) for one, other in zip(ours, plain, strict=True))
    by = found["log"].cpu / found["plain"].cpu
    beside = f"{1000 * found['log'].cpu:.0f} ms beside {1000 * found['plain'].cpu:.0f} ms"
    return [at_most("3", "scan of the maintained log by plain Parquet", by, "×", 1.3, beside)]


def appended(place: str, batches: int, rows: int, a_day: int) -> Callable[[], list[float]]:
    """Append all batches; answers with the seconds of each, of wall time."""
    first = batch_of(0, rows, a_day)
    table = LakeTable(_bucket() if place == "s3" else Location(place), first.schema)

    def call() -> list[float]:
        seconds = []
        for number in range(batches):
            batch = batch_of(number, rows, a_day)
            began = time.perf_counter()
            assert table.append_once(batch, APP, number + 1)
            seconds.append(time.perf_counter() - began)
        return seconds

    return call


def maintain(place: Path) -> None:
    """Compact the log and shorten it, as the flow ``maintain`` does."""
    location, storage = Location(str(place)), StorageMap()
    compact_table(storage, location)
    shorten_log(location)
    vacuum_table(storage, location, timedelta(0))


def scanned(place: str, name: str) -> Callable[[], list[float]]:
    """Sum every feature and count the rows, through the table or over the plain files."""
    wanted = [pl.len().cast(pl.Float64), *(pl.col(feature).sum() for feature in FEATURES)]
    if name == "plain":
        return lambda: _row(pl.scan_parquet(f"{place}/plain/*.parquet").select(wanted))
    table = LakeTable(Location(f"{place}/log"), batch_of(0, 1, 1).schema)
    return lambda: _row(table.scan(table.files()).select(wanted))


def batch_of(number: int, rows: int, a_day: int) -> pl.DataFrame:
    """A batch as the log takes it: what the pipeline adds to a record, twenty numbers, the prediction."""
    records = drawn_records(number * rows, rows, Stream(rows, a_day * rows))
    is_late = pl.when(pl.col("f00") > 0).then(pl.lit("late")).otherwise(pl.lit("on_time"))
    return records.select(
        pl.col("id").alias("prediction_id"),
        pl.col("timestamp").alias("event_time"),
        pl.lit(START + 30 * DAY).alias("predicted_at"),
        pl.lit("late-order").alias("model_id"),
        pl.lit(1, pl.Int64).alias("model_version"),
        pl.lit("champion").alias("variant"),
        pl.lit(number + 1, pl.Int64).alias("batch_id"),
        pl.lit("ok").alias("status"),
        pl.col("id").hash().reinterpret(signed=True).alias("sample_key"),
        *FEATURES,
        pl.struct(label=is_late, score="f01").alias("prediction"),
        pl.lit(_day(number // a_day)).alias("date"),
    )


def _day(number: int) -> date:
    return (START + number * DAY).date()


def _write_well(place: Path) -> None:
    """The same rows, a file a day, in row groups of a million."""
    (place / "plain").mkdir()
    for folder in sorted((place / "log").glob("date=*")):
        rows = pl.scan_parquet(f"{folder}/*.parquet")
        rows.sink_parquet(place / "plain" / f"{folder.name}.parquet", row_group_size=1_000_000, compression="zstd")


def _row(rows: pl.LazyFrame) -> list[float]:
    return list(rows.collect().row(0))


def _bucket() -> Location:
    """A folder in a bucket of SeaweedFS, whose process ends with this one."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "servers"))
    import processes

    stack = ExitStack()
    atexit.register(stack.close)
    server = stack.enter_context(processes.s3(Path(stack.enter_context(TemporaryDirectory(prefix="s3-")))))
    root = f"s3://{processes.BUCKET}"
    spec = StorageSpec(
        prefix=root,
        root=root,
        endpoint_url=server.endpoint,
        access_key_id=processes.KEY,
        secret_access_key=SecretStr(processes.SECRET),
        region=processes.REGION,
    )
    return StorageMap((spec,)).resolve(f"{root}/log")
