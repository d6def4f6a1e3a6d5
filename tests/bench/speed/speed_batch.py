"""Line 5: the whole micro-batch through the steps of ``infer``, and a run of ``infer`` over a backlog.

A batch is planned, read, checked, scored by a model server in a process of its own, logged with its profile, and
delivered; the next one is scored meanwhile. The model's own time is that of the same rows in process, by what the
server runs (ONNX Runtime, one thread).
"""

from __future__ import annotations

import atexit
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import speed_pipeline as made
from speed_line import Line, at_least, at_most
from speed_pipeline import Stream
from speed_run import Contender, Cost, compare

if TYPE_CHECKING:
    from flywheel.context import PipelineContext
    from tasks.score import Scoring

HERE = "speed_batch"
ROWS = 10_000
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Sizes:
    """``batches`` in a call, ``runs`` calls; ``backlog``: records that one run of ``infer`` finds."""

    batches: int
    runs: int
    backlog: Stream


FULL = Sizes(batches=20, runs=7, backlog=Stream(10_000_000))
SLICE = Sizes(batches=1, runs=1, backlog=Stream(200_000))
# What a user may set batch.max_rows to who has a backlog.
_LARGE = 10


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Every figure of line 5."""
    return [
        *batch_lines(compare(contenders(folder, sizes), sizes.runs), sizes),
        *backlog_lines(made.made_workspace(folder, sizes.backlog), sizes.backlog),
    ]


def contenders(folder: Path, sizes: Sizes) -> list[Contender]:
    """Whole batches, the same one step after the other, and as few large ones; the model alone on as many rows."""
    stream = Stream(ROWS * max(sizes.batches, _LARGE) * (sizes.runs + 2))
    common = {"root": str(made.made_workspace(folder, stream)), "batches": sizes.batches}
    ours = common | {"as_of_rows": stream.rows}
    large = ours | {"batches": max(sizes.batches // _LARGE, 1), "times": _LARGE}
    return [
        Contender("batch", f"{HERE}:whole_batches", ours),
        Contender("steps", f"{HERE}:steps_in_turn", ours),
        Contender("large", f"{HERE}:whole_batches", large),
        Contender("served", f"{HERE}:model_alone", common),
        Contender("scikit-learn", f"{HERE}:model_alone", common | {"by_estimator": True}),
    ]


def batch_lines(found: dict[str, Cost], sizes: Sizes) -> list[Line]:
    """What of a batch's time is the model's, and what the rest would give by itself."""
    each = {name: cost.wall / sizes.batches for name, cost in found.items()}
    steps = cast("dict[str, float]", found["steps"].returned)
    told = ", ".join(f"{name} {1000 * seconds / sizes.batches:.1f} ms" for name, seconds in steps.items())
    whole = f"{1000 * each['batch']:.1f} ms a batch, {1000 * found['batch'].cpu / sizes.batches:.1f} ms of CPU"
    alone = f"the model by itself {1000 * each['served']:.1f} ms, as scikit-learn {1000 * each['scikit-learn']:.1f} ms"
    without = {name: ROWS / (each[name] - each["served"]) for name in ("batch", "large")}
    large = f"{1000 * each['large']:.1f} ms for 10,000 rows"
    return [
        at_least("5", "the model's share of a micro-batch", 100 * each["served"] / each["batch"], "%", 60, alone),
        at_least(
            "5", "a micro-batch without the model", without["batch"], "rows/s", 500_000,
            f"{whole}; one step after the other: {told}",
        ),
        at_least("5", "the same with batches of 100,000", without["large"], "rows/s", 500_000, large),
    ]  # fmt: skip


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


def whole_batches(root: str, batches: int, as_of_rows: int, times: int = 1) -> Callable[[], int]:
    """Score the next ``batches`` batches as ``infer`` does, of ``times`` the rows; answers with the rows."""
    from tasks.score import deliver_batches, score_batches

    context, scoring = _opened(root)
    large = context.pipeline.spec.batch.model_copy(update={"max_rows": ROWS * times})
    spec = context.pipeline.spec.model_copy(update={"batch": large})
    context = replace(context, pipeline=context.pipeline.model_copy(update={"spec": spec}))
    as_of = Stream(as_of_rows).end

    def call() -> int:
        scored = score_batches.fn(context, scoring, as_of, batches)
        assert scored.counts["ok"] == ROWS * times * batches, scored.counts
        assert not deliver_batches.fn(context)
        return scored.counts["ok"]

    return call


def steps_in_turn(root: str, batches: int, as_of_rows: int) -> Callable[[], dict[str, float]]:
    """Score as many, one step after the other; answers with the seconds of each step."""
    from flywheel.scoring.deliver import deliver_batches
    from flywheel.scoring.log import log_batch
    from flywheel.scoring.plan import plan_batch
    from flywheel.scoring.score import score_batch

    context, scoring = _opened(root)
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


def _opened(root: str) -> tuple[PipelineContext, Scoring]:
    """A copy of the workspace with a model server, until the process ends."""
    from tasks.score import open_scoring

    stack = ExitStack()
    atexit.register(stack.close)
    place = stack.enter_context(made.copied(Path(root)))
    context = made.opened(place, stack.enter_context(made.model_server(place)))
    return context, stack.enter_context(open_scoring(context))


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
    """The steps' own bodies are timed, and so is the run; the rest is Prefect's and the flow's own."""
    import flows.infer
    from flywheel.scoring import log

    inside: Counter[str] = Counter()
    early = _Early(log.log_batch)
    log.log_batch = early
    for step in (flows.infer.score_batches, flows.infer.deliver_batches):
        step.fn = _accounted(step.fn, inside)
    flows.infer.connect = lambda _name: made.opened(place, address)  # type: ignore[assignment]
    began = time.perf_counter()
    done = flows.infer.infer(made.NAME, as_of=Stream(10**9).end)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "inside": inside["seconds"], "ok": done.ok, "early": early.memory}


class _Early:
    """``log_batch``, and the memory of the process when it had logged a tenth of a thousand batches, or its last."""

    def __init__(self, log_batch: Callable[..., Any]) -> None:
        self._log_batch = log_batch
        self._calls = 0
        self.memory = 0.0

    def __call__(self, *arguments: Any) -> Any:
        self._calls += 1
        if self._calls <= 100:
            pages = Path("/proc/self/statm").read_text().split()[1]
            self.memory = float(pages) * 4096
        return self._log_batch(*arguments)


def _accounted(function: Callable[..., Any], inside: Counter[str]) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        with _timed(inside, "seconds"):
            return function(*arguments, **named)

    return call


@contextmanager
def _timed(steps: Counter[str], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    steps[name] += time.perf_counter() - began  # type: ignore[assignment]
