"""Flows as plain functions: their own bodies and steps, without a Prefect run around them, which costs more than all
of a small batch's work. For tests that run a flow a hundred times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from types import ModuleType
from typing import Any, TypeVar

import pytest
from parcels import START, Parcels
from prefect import Task

import flows.check_drift
import flows.infer
import flows.join_feedback
import flows.maintain
import flows.measure_performance
import flows.rescore
import flows.retrain
import tasks.drift
import tasks.retrain
import tasks.score

Pipeline = TypeVar("Pipeline", bound=Parcels)

_MODULES: tuple[ModuleType, ...] = (
    flows.infer, flows.join_feedback, flows.check_drift, flows.retrain, flows.rescore, flows.maintain,
    flows.measure_performance,
)  # fmt: skip
_ONLY_SHOWN = ("publish_summary", "publish_drift", "publish_retrain", "publish_performance")


class _NoProgress:
    def __init__(self, *_arguments: Any) -> None:
        return

    def advance(self, _rows: Any) -> None:
        return


@contextmanager
def without_prefect(parcels: Parcels) -> Iterator[None]:
    """Make the flows' ``fn`` work on ``parcels`` with no Prefect server there."""
    with pytest.MonkeyPatch.context() as patch:
        for module in _MODULES:
            patch.setattr(module, "connect", lambda _name: parcels.context)
            for name, value in list(vars(module).items()):
                if isinstance(value, Task):
                    patch.setattr(module, name, value.fn)
                elif name in _ONLY_SHOWN:
                    patch.setattr(module, name, lambda *_arguments: None)
        patch.setattr(flows.infer, "RunProgress", _NoProgress)
        patch.setattr(tasks.score, "in_run_log", lambda _name: nullcontext())
        for module in (tasks.drift, tasks.retrain):
            patch.setattr(module, "emit", lambda *_arguments, **_more: None)
        yield


def run(flow: Any, parcels: Parcels, as_of: datetime, **parameters: Any) -> Any:
    """Run a flow's body once."""
    with without_prefect(parcels):
        return flow.fn("parcels", as_of=as_of, **parameters)


def trained(made: Pipeline) -> Pipeline:
    """Make the pipeline, and give it a champion that has learned from the history."""
    made.make()
    made.workspace.database().create()
    made.revise()
    assert run(flows.retrain.retrain, made, START).outcome == "promoted"
    return made
