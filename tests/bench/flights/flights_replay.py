"""A year of flights through the flows, week by week, under a rule about when to retrain; no Prefect around them.

``deployments/demo/replay.py`` is the same with everything around it; this one is for many rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from plain import without_prefect
from ruamel.yaml import YAML

from deployments.demo.figures import Figures
from deployments.demo.replay import END, LAST_FEEDBACK, PIPELINE, START, STEP
from deployments.demo.report import make_report
from flows.check_drift import check_drift
from flows.infer import infer
from flows.join_feedback import join_feedback
from flows.retrain import retrain
from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.datasets.flights import write_flights
from flywheel.manifest.load import Bundle, load
from flywheel.metadata.revisions import Revisions
from flywheel.serving.server import ModelServer
from flywheel.workspace import Workspace

MANIFEST = Path(__file__).parents[3] / "deployments" / "pipelines" / "flight-delays.yaml"
Document = dict[str, Any]
Edit = Callable[[Document], None]


def drift_of(document: Document) -> Document:
    """The config of the manifest's ``drift-detection`` stage."""
    return next(stage["config"] for stage in document["spec"]["stages"] if stage["type"] == "drift-detection")


@dataclass(frozen=True)
class Flights:
    """The bundled pipeline with edits, in the folder ``root``, with its model server at ``address``."""

    root: Path
    bundle: Bundle
    address: str

    @property
    def workspace(self) -> Workspace:
        return Workspace(home=self.root / ".flywheel")

    @property
    def context(self) -> PipelineContext:
        """The pipeline, without a Prefect server's help; a new one each time."""
        documents = self.bundle
        connections = Connections(
            sources={name: each.spec for name, each in documents.sources.items()},
            sinks={name: each.spec for name, each in documents.sinks.items()},
            model_servers={
                name: each.spec.model_copy(update={"address": self.address})
                for name, each in documents.model_servers.items()
            },
        )
        return open_pipeline(self.workspace, PIPELINE, connections)


def edited(folder: Path, *edits: Edit) -> Bundle:
    """The bundled manifest with ``edits`` made to it."""
    yaml = YAML(typ="safe")
    documents = list(yaml.load_all(MANIFEST.read_text()))
    for edit in edits:
        edit(documents[0])
    path = folder / MANIFEST.name
    with path.open("w") as file:
        yaml.dump_all(documents, file)
    return load([path])


@dataclass(frozen=True)
class Year:
    """What a rule came to: retrains, and means over the months."""

    retrains: int
    flywheel: Figures
    frozen: Figures


@contextmanager
def first_champion(root: Path, *edits: Edit) -> Iterator[Flights]:
    """The pipeline, applied, with its first champion trained on January and a model server that has it."""
    root.mkdir(parents=True)
    bundle = edited(root, *edits)
    write_flights(root / ".flywheel" / "flights", START.date(), END.date())
    unserved = Flights(root, bundle, "127.0.0.1:1")
    unserved.workspace.database().create()
    Revisions(unserved.workspace.database()).apply(PIPELINE, bundle.texts["FlywheelPipeline", PIPELINE], None)
    with ModelServer(unserved.context.registry, "127.0.0.1:0", poll_seconds=1) as server:
        served = Flights(root, bundle, server.address)
        step(retrain, served, START)
        yield served


def step(flow: Any, flights: Flights, as_of: datetime, **parameters: Any) -> Any:
    """Run a flow's body once."""
    with without_prefect(flights):
        return flow.fn(PIPELINE, as_of=as_of, **parameters)


def replay(root: Path, is_weekly: bool, *edits: Edit) -> Year:
    """Replay February to December; retrain every week, or else when a check asks for it."""
    with first_champion(root, *edits) as flights:
        turn = _retrain_anyway if is_weekly else _retrain_if_asked
        retrains = sum(turn(flights, as_of) for as_of in weeks())
        step(join_feedback, flights, LAST_FEEDBACK)
        found = make_report(flights.context, 0)
    return Year(retrains, found.flywheel, found.frozen)


def weeks() -> Iterator[datetime]:
    """Yield the ends of the weeks, the last one shorter."""
    as_of = START
    while as_of < END:
        as_of = min(as_of + STEP, END)
        yield as_of


def _retrain_anyway(flights: Flights, as_of: datetime) -> bool:
    _score_and_join(flights, as_of)
    step(retrain, flights, as_of)
    return True


def _retrain_if_asked(flights: Flights, as_of: datetime) -> bool:
    _score_and_join(flights, as_of)
    check = step(check_drift, flights, as_of)
    if check.action == "retrain":
        step(retrain, flights, as_of, check_id=check.check_id)
    return bool(check.action == "retrain")


def _score_and_join(flights: Flights, as_of: datetime) -> None:
    step(infer, flights, as_of)
    step(join_feedback, flights, as_of)
