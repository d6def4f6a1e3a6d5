"""Line 8: how long a person waits for a command, and Prefect for a flow.

A command's time is that of its whole process, from a warm page cache, in turn with ``python -c pass``. What
``import flows.infer`` adds is measured inside a process that has imported Prefect: what ``from prefect import flow``
and the modules of Prefect that our flows use load by themselves is Prefect's own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from speed_line import Line, at_most
from speed_run import Contender, Cost, compare

ROOT = Path(__file__).parents[3]
HERE = "speed_start"
MANIFEST = ROOT / "deployments" / "pipelines" / "flight-delays.yaml"
PIPELINE = "flight-delays"
# Each asks another part of what is stored; the slowest counts.
READING = (
    ("get",),
    ("get", PIPELINE),
    ("drift", "status"),
    ("stats", "-p", PIPELINE),
    ("drift", "history", "-p", PIPELINE),
    ("performance", "-p", PIPELINE),
    ("model", "list"),
    ("review", "list"),
    ("quarantine", "list", "-p", PIPELINE),
)
PREFECT = (
    "prefect", "prefect.main", "prefect.flows", "prefect.tasks", "prefect.artifacts", "prefect.blocks.core",
    "prefect.client.orchestration", "prefect.events", "pydantic.v1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often each process is started."""

    runs: int


FULL = Sizes(runs=9)
SLICE = Sizes(runs=2)


def measure(sizes: Sizes, folder: Path) -> list[Line]:
    """Start everything in turn; seconds of wall time, as a person waits for them."""
    workspace = made_workspace(folder / "start")
    commands = {"pass": [sys.executable, "-c", "pass"], "help": [*_flywheel(), "--help"]}
    commands |= {" ".join(words): [*_flywheel(), *words] for words in READING}
    costs = started(commands, sizes.runs, workspace)
    slowest = max((" ".join(words) for words in READING), key=lambda name: costs[name].wall)
    infer, prefect = import_seconds(sizes.runs)
    floor = f"python -c pass: {1000 * costs['pass'].wall:.0f} ms"
    return [
        at_most("8", "flywheel --help", costs["help"].wall, "s", 0.3, floor),
        at_most("8", "slowest reading command", costs[slowest].wall, "s", 1.0, f"flywheel {slowest.split(' -p')[0]}"),
        at_most("8", "import flows.infer", infer, "s", 0.5, f"on top of Prefect's own {prefect:.2f} s"),
    ]


def started(commands: dict[str, list[str]], runs: int, workspace: Path) -> dict[str, Cost]:
    """The cost of each command as a process of its own."""
    contenders = [
        Contender(name, f"{HERE}:command", {"argv": argv, "folder": str(workspace)}) for name, argv in commands.items()
    ]
    return compare(contenders, runs=runs)


def command(argv: Sequence[str], folder: str) -> Callable[[], object]:
    """Run a command whole."""

    def call() -> object:
        return subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).returncode

    return call


def import_seconds(runs: int) -> tuple[float, float]:
    """Seconds that ``import flows.infer`` adds, and those of Prefect before it (medians, in processes of their own)."""
    costs = compare([Contender("infer", f"{HERE}:importing", {})], runs=runs)
    infer, prefect = cast("list[float]", costs["infer"].returned)
    return infer, prefect


def importing() -> Callable[[], list[float]]:
    """Import Prefect, then the flow, in a new interpreter; answer with the medians of the flow's and Prefect's."""
    seen: list[tuple[float, float]] = []

    def call() -> list[float]:
        done = subprocess.run([sys.executable, "-c", _IMPORTS], cwd=ROOT, check=True, capture_output=True, text=True)
        prefect, infer = map(float, done.stdout.split())
        seen.append((infer, prefect))
        return [sorted(each)[len(each) // 2] for each in zip(*seen, strict=True)]

    return call


_IMPORTS = f"""
import importlib, time
began = time.perf_counter()
for name in {PREFECT!r}:
    importlib.import_module(name)
prefect = time.perf_counter()
import flows.infer
print(prefect - began, time.perf_counter() - prefect)
"""


def made_workspace(folder: Path) -> Path:
    """A workspace whose metadata has a pipeline in service, and nothing else; made once."""
    from flywheel.manifest.load import load
    from flywheel.metadata.revisions import Revisions
    from flywheel.workspace import Workspace

    workspace = Workspace(home=folder / ".flywheel")
    database = workspace.database()
    database.create()
    texts = {kind: text for (kind, _), text in load([MANIFEST]).texts.items()}
    Revisions(database).apply(PIPELINE, texts["FlywheelPipeline"], texts.get("Training"))
    return folder


def _flywheel() -> list[str]:
    return [str(Path(sys.executable).with_name("flywheel"))]
