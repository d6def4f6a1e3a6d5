"""Line 1: drift of a million rows beside Evidently, NannyML and the bare scan; profiles of batches, and their check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import numpy as np
import polars as pl
import speed_pipeline as made
from peer_environments import EVIDENTLY, NANNYML
from speed_line import Line, at_least, at_most
from speed_run import Contender, Cost, compare

from flywheel.drift.baseline import Baseline, NumericBaseline, fit_baseline
from flywheel.drift.check import check_window
from flywheel.drift.guide_table import GuideTable
from flywheel.drift.measured import Measured
from flywheel.drift.profile import PROFILE_SCHEMA, merge, profile
from flywheel.inference.fallback import OK
from flywheel.lake.storage import Location
from flywheel.lake.tables import PROFILES, LakeTable
from flywheel.manifest.drift import DriftConfig
from flywheel.monitoring.profiles import profile_rows
from flywheel.monitoring.reference import find_baseline
from flywheel.monitoring.window import latest_window

SEED = 5
CONFIG = DriftConfig(window=timedelta(days=1), thresholds={"psi": 0.25, "kl_divergence": 0.1})
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BATCH_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """``rows`` of reference and window each; ``batches`` of the stored window, which stands for ``windows`` rows.

    ``profiled``: batches in a call, each with its profile; 0 leaves that line out.
    """

    rows: int
    columns: int
    batches: int
    windows: tuple[int, ...]
    runs: int
    with_peers: bool
    profiled: int


FULL = Sizes(1_000_000, 20, 100, (10**5, 10**7, 10**9), 5, True, 10)
SLICE = Sizes(200_000, 20, 20, (10**4, 10**9), 2, False, 0)


class Files(TypedDict):
    """Where a contender finds the two samples."""

    reference: str
    window: str


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Every figure of line 1."""
    files = draw(sizes, folder)
    ours = Contender("ours", "speed_drift:whole_check", files)
    names = ("scan", "coarse")
    close = [ours, *(Contender(name, f"speed_drift:{name}", files) for name in names)]
    costs = compare(close, sizes.runs)
    lines = [
        at_most(
            "1",
            f"drift of {sizes.rows:,} × {sizes.columns} from Parquet, 100 bins",
            costs["ours"].cpu / costs["scan"].cpu,
            "×",
            2.5,
            f"summing the columns: {costs['scan'].cpu:.2f} s; ours {costs['ours'].cpu:.2f} s, read, counted and judged",
        ),
        at_most(
            "1",
            "the same counted in 10 bins",
            costs["coarse"].cpu / costs["scan"].cpu,
            "×",
            1.5,
            f"summing the columns: {costs['scan'].cpu:.2f} s",
        ),
    ]
    lines += _beside_peers(files, costs["ours"]) if sizes.with_peers else []
    lines += _within_a_batch(sizes, folder) if sizes.profiled else []
    return lines + _stored(sizes, folder)


def _within_a_batch(sizes: Sizes, folder: Path) -> list[Line]:
    batches, count = sizes.profiled, sizes.profiled * (sizes.runs + 2)
    stream = made.Stream(BATCH_ROWS * count)
    root = {"root": str(made.made_workspace(folder, stream)), "batches": batches}
    found = compare(
        [
            Contender("batch", "speed_batch:whole_batches", root | {"as_of_rows": stream.rows}),
            Contender("profile", "speed_drift:profiled", root),
        ],
        sizes.runs,
    )
    whole, part = (1000 * found[name].cpu / batches for name in ("batch", "profile"))
    return [
        at_most(
            "1",
            f"profile of a batch of {BATCH_ROWS:,} rows, of the batch",
            100 * part / whole,
            "%",
            10,
            f"{part:.1f} ms of the {whole:.0f} ms of CPU that the batch takes beside the model server's",
        )
    ]


def _beside_peers(files: Files, ours: Cost) -> list[Line]:
    found = compare(
        [
            Contender("Evidently", "speed_drift_peers:evidently", files, EVIDENTLY.python()),
            Contender("NannyML", "speed_drift_peers:nannyml", files, NANNYML.python()),
        ],
        runs=1,
    )
    goals = {"Evidently": (100.0, "its default preset"), "NannyML": (5.0, "fit and calculate")}
    return [
        at_least(
            "1",
            f"less processor time than {name}, {what}",
            found[name].cpu / ours.cpu,
            "×",
            goal,
            f"{name} {found[name].cpu:.1f} s, {found[name].peak / 2**30:.2f} GiB; ours {ours.peak / 2**30:.2f} GiB",
        )
        for name, (goal, what) in goals.items()
    ]


def _stored(sizes: Sizes, folder: Path) -> list[Line]:
    arguments = [{"folder": str(folder), "rows": rows, "batches": sizes.batches} for rows in sizes.windows]
    contenders = [Contender(f"{each['rows']:.0e}", "speed_drift:stored_check", each) for each in arguments]
    reading = Contender("with reading", "speed_drift:read_and_checked", arguments[-1])
    found = compare([*contenders, reading], runs=4 * sizes.runs, warm_ups=3)
    walls = [1000 * found[each.name].wall for each in contenders]
    return [
        at_most(
            "1",
            f"check of {sizes.windows[-1]:.0e} rows in {sizes.batches} stored profiles",
            walls[-1],
            "ms",
            20,
            f"summed, measured, judged; with opening the Delta table and reading {sizes.batches} files before: "
            f"{1000 * found['with reading'].wall:.1f} ms in all",
        ),
        at_most(
            "1",
            "the slowest of them by the fastest, whatever the rows",
            max(walls) / min(walls),
            "×",
            1.2,
            ", ".join(f"{each.name}: {wall:.1f} ms" for each, wall in zip(contenders, walls, strict=True)),
        ),
    ]


def draw(sizes: Sizes, folder: Path) -> Files:
    """Two samples of the same columns, drawn once; in the second, one moved by a third of its deviation."""
    paths = {name: folder / f"drift-{sizes.rows}-{sizes.columns}-{name}.parquet" for name in ("reference", "window")}
    for number, (name, path) in enumerate(paths.items()):
        if not path.exists():
            rng = np.random.default_rng([SEED, number])
            columns = {f"f{column:02}": rng.normal(column, 1 + column, sizes.rows) for column in range(sizes.columns)}
            columns["f03"] += (name == "window") * 4 / 3
            path.parent.mkdir(parents=True, exist_ok=True)
            pl.DataFrame(columns).write_parquet(path.with_suffix(".part"))
            path.with_suffix(".part").rename(path)
    return {"reference": str(paths["reference"]), "window": str(paths["window"])}


def whole_check(reference: str, window: str) -> Callable[[], object]:
    """Read, profile and judge, as ``flows/infer.py`` and ``flows/check_drift.py`` do between them."""
    baseline = _baseline(reference)

    def call() -> object:
        rows = pl.read_parquet(window)
        found = check_window(baseline, profile(rows, baseline), rows.height, CONFIG)
        return [found.outcome, found.features[0].feature, found.features[0].measures["psi"]]

    return call


def scan(reference: str, window: str) -> Callable[[], object]:
    """The limit: every value is read and added up."""
    del reference
    return lambda: pl.read_parquet(window).select(pl.all().sum()).row(0)


def coarse(reference: str, window: str) -> Callable[[], object]:
    """The same counting in deciles, which PSI and KL want."""
    baseline = _baseline(reference)
    tables = {
        name: GuideTable([feature.edges[place] for place in feature.coarse])
        for name, feature in baseline.features.items()
        if isinstance(feature, NumericBaseline)
    }

    def call() -> object:
        rows = pl.read_parquet(window)
        return [int(table.count(rows[name])[0]) for name, table in tables.items()]

    return call


def profiled(root: str, batches: int) -> Callable[[], object]:
    """Profile as many batches on the champion's baseline."""
    baseline = find_baseline(made.opened(Path(root), "127.0.0.1:1"), made.MODEL, 1)
    assert baseline is not None
    records = made.drawn_records(0, BATCH_ROWS, made.Stream(BATCH_ROWS))
    answer = pl.struct(label=pl.when(pl.col("f00") > 1).then(pl.lit("late")).otherwise(pl.lit("on_time")), score="f01")
    rows = records.rename({"timestamp": "event_time"}).with_columns(prediction=answer, status=pl.lit(OK))
    return lambda: [profile_rows(rows, baseline, number, NOON).height for number in range(batches)]


def stored_check(folder: str, rows: int, batches: int) -> Callable[[], object]:
    """Sum the profiles of a window and judge them; only their counts tell how many rows there were."""
    baseline, table = _stored_profiles(folder, rows, batches)
    lines = table.read(table.files(), PROFILE_SCHEMA)
    return lambda: check_window(baseline, merge([lines]), rows, CONFIG).outcome


def read_and_checked(folder: str, rows: int, batches: int) -> Callable[[], object]:
    """The same from the table on."""
    baseline, table = _stored_profiles(folder, rows, batches)

    def call() -> object:
        window = latest_window(table, baseline.id, CONFIG, NOON + timedelta(hours=1))
        assert window.rows == rows, (window.rows, rows)
        return check_window(baseline, window.counts, window.rows, CONFIG).outcome

    return call


def _stored_profiles(folder: str, rows: int, batches: int) -> tuple[Baseline, LakeTable]:
    drawn = np.random.default_rng(SEED).normal(size=(20_000, 20))
    reference = pl.DataFrame(drawn, schema=[f"f{column:02}" for column in range(20)])
    baseline = _fit(reference)
    place = Path(folder) / f"profiles-{rows}-{batches}"
    return baseline, _store(baseline, profile(reference, baseline), place, rows, batches)


def _store(baseline: Baseline, counts: pl.DataFrame, folder: Path, rows: int, batches: int) -> LakeTable:
    table = LakeTable(Location(str(folder)), PROFILES)
    if table.version() is None:
        share = rows // batches / baseline.rows
        for number in range(batches):
            batch = counts.with_columns(
                count=(pl.col("count") * share).round().cast(pl.Int64),
                batch_id=pl.lit(number + 1),
                baseline_id=pl.lit(baseline.id),
                predicted_at=pl.lit(NOON),
                first_event=pl.lit(NOON),
                last_event=pl.lit(NOON),
                rows=pl.lit(rows // batches),
                date=pl.lit(NOON.date()),
            )
            table.append_once(batch, "bench", number + 1)
    return table


def _baseline(reference: str) -> Baseline:
    return _fit(pl.read_parquet(reference))


def _fit(reference: pl.DataFrame) -> Baseline:
    return fit_baseline(reference, [Measured(name, "numeric") for name in reference.columns], "bench")
