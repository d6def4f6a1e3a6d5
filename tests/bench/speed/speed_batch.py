"""Line 5: the whole micro-batch through the functions that ``infer`` calls, and a run of ``infer`` over a backlog.

A batch is planned, read, checked, scored by a model server in a process of its own, logged with its profile, and
delivered. The model's own time is that of the same rows in process, by what the server runs (ONNX Runtime, one thread).
"""

from __future__ import annotations

import atexit
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import speed_pipeline as made
from speed_line import Line, at_least, at_most
from speed_pipeline import Stream
from speed_run import Contender, Cost, compare

HERE = "speed_batch"
ROWS = 10_000
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Sizes:
    """``batches`` in a call, ``runs`` calls; ``backlog``: records that one run of ``infer`` finds."""

    batches: int
    runs: int
    backlog: Stream


FULL = Sizes(batches=10, runs=9, backlog=Stream(10_000_000))
SLICE = Sizes(batches=1, runs=2, backlog=Stream(200_000))


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Every figure of line 5."""
    stream = Stream(max(ROWS * sizes.batches * (sizes.runs + 2), made.FILE_ROWS))
    root = made.made_workspace(folder, stream)
    return [
        *batch_lines(root, stream, sizes),
        *backlog_lines(made.made_workspace(folder, sizes.backlog), sizes.backlog),
    ]


def costs_of_batches(folder: Path, sizes: Sizes) -> dict[str, Cost]:
    """Whole batches beside the model alone, on the same number of rows."""
    stream = Stream(ROWS * sizes.batches * (sizes.runs + 2))
    common = {"root": str(made.made_workspace(folder, stream)), "batches": sizes.batches}
    return compare(
        [
            Contender("batch", f"{HERE}:whole_batches", common | {"as_of_rows": stream.rows}),
            Contender("served", f"{HERE}:model_alone", common),
            Contender("scikit-learn", f"{HERE}:model_alone", common | {"by_estimator": True}),
        ],
        sizes.runs,
    )


def batch_lines(found: dict[str, Cost], sizes: Sizes) -> list[Line]:
    """What of a batch's time is the model's, and what the rest would give by itself."""
    each = {name: cost.wall / sizes.batches for name, cost in found.items()}
    others = each["batch"] - each["served"]
    steps = cast("dict[str, float]", found["batch"].returned)
    told = ", ".join(f"{name} {1000 * seconds / sizes.batches:.1f} ms" for name, seconds in steps.items())
    alone = f"{1000 * each['served']:.1f} ms, as scikit-learn {1000 * each['scikit-learn']:.1f} ms"
    beside = f"{told}; the model by itself {alone}"
    return [
        at_least("5", "the model's share of a micro-batch", 100 * each["served"] / each["batch"], "%", 60, beside),
        at_least("5", "a micro-batch without the model", ROWS / others, "rows/s", 500_000, f"{1000 * others:.1f} ms"),
    ]


def backlog_lines(root: Path, stream: Stream) -> list[Line]:
    """One run of ``infer`` over all of it."""
    found = compare([Contender("infer", f"{HERE}:drained", {"root": str(root)})], runs=1, warm_ups=0)["infer"]
    returned = cast("dict[str, float]", found.returned)
    assert returned["ok"] == stream.rows, returned
    speed = f"{stream.rows:,} rows in {returned['seconds']:.0f} s"
    outside = 100 * (1 - returned["inside"] / returned["seconds"])
    growth = f"{returned['early'] / GIB:.2f} GiB after a tenth of them"
    return [
        at_most("5", "orchestration of a run over a backlog", outside, "%", 5, speed),
        at_most("5", "most memory of that run", found.peak / GIB, "GiB", 1.5, growth),
    ]


def whole_batches(root: str, batches: int, as_of_rows: int) -> Callable[[], dict[str, float]]:
    """Score the next ``batches`` batches; answers with the seconds of each step."""
    from flywheel.scoring.deliver import deliver_batches
    from flywheel.scoring.log import log_batch
    from flywheel.scoring.plan import plan_batch
    from flywheel.scoring.score import score_batch
    from tasks.score import open_scoring

    stack = ExitStack()
    atexit.register(stack.close)
    place = stack.enter_context(made.copied(Path(root)))
    context = made.opened(place, stack.enter_context(made.model_server(place)))
    scoring = stack.enter_context(open_scoring(context))
    as_of = Stream(as_of_rows).end

    def call() -> dict[str, float]:
        steps: Counter[str] = Counter()
        for _ in range(batches):
            with _timed(steps, "plan"):
                entry = plan_batch(context, scoring.source, scoring.client, as_of)
            assert entry is not None
            with _timed(steps, "score"):
                batch = score_batch(context, entry, scoring.source, scoring.spec, scoring.client)
            with _timed(steps, "log"):
                assert log_batch(context, entry, batch)["ok"] == ROWS
            with _timed(steps, "deliver"):
                assert not deliver_batches(context)
        return dict(steps)

    return call


def model_alone(root: str, batches: int, by_estimator: bool = False) -> Callable[[], float]:
    """Ask the model for as many rows, in process and in one thread."""
    from flywheel.serving.scorers import load_served

    registry = made.opened(Path(root), "127.0.0.1:1").registry
    matrix = np.random.default_rng(7).normal(size=(ROWS, len(made.FEATURES)))
    if by_estimator:
        estimator = registry.load(made.MODEL, 1).model
        return lambda: float(sum(estimator.predict_proba(matrix)[:, 1].mean() for _ in range(batches)))
    scorer = load_served(registry, made.MODEL, 1).scorer
    return lambda: float(sum(scorer.score(matrix)["probabilities"][:, 1].mean() for _ in range(batches)))


def drained(root: str) -> Callable[[], dict[str, float]]:
    """Run the flow once, on a Prefect server of its own."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    stack = ExitStack()
    atexit.register(stack.close)
    place = stack.enter_context(made.copied(Path(root)))
    address = stack.enter_context(made.model_server(place))
    stack.enter_context(prefect_test_harness(server_startup_timeout=120))
    stack.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
    return lambda: _drain(place, address)


def _drain(place: Path, address: str) -> dict[str, float]:
    """What the steps call is timed, and so is the run; the rest is Prefect's and the flow's own."""
    import flows.infer
    from flywheel.scoring import deliver, log, plan, score

    inside: Counter[str] = Counter()
    early = _Early()
    for module, name in (
        (plan, "plan_batch"),
        (score, "score_batch"),
        (log, "log_batch"),
        (deliver, "deliver_batches"),
    ):
        setattr(module, name, _accounted(getattr(module, name), inside, early))
    flows.infer.connect = lambda _name: made.opened(place, address)  # type: ignore[assignment]
    began = time.perf_counter()
    done = flows.infer.infer(made.NAME, as_of=Stream(10**9).end)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "inside": inside["seconds"], "ok": done.ok, "early": early.memory}


class _Early:
    """The memory of the process when it had done a tenth of a thousand batches, or whatever it had done last."""

    memory = 0.0

    def note(self, calls: int) -> None:
        if calls <= 3 * 100:
            pages = Path("/proc/self/statm").read_text().split()[1]
            self.memory = float(pages) * 4096


def _accounted(function: Callable[..., Any], inside: Counter[str], early: _Early) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        with _timed(inside, "seconds"):
            returned = function(*arguments)
        inside["calls"] += 1
        early.note(int(inside["calls"]))
        return returned

    return call


@contextmanager
def _timed(steps: Counter[str], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    steps[name] += time.perf_counter() - began  # type: ignore[assignment]
