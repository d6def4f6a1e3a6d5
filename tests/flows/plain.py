"""Flows as plain functions: their own bodies and steps, without a Prefect run around them, which costs more than all
of a small batch's work. For tests that run a flow a hundred times."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from types import ModuleType
from typing import Any, TypeVar

import pytest
from parcels import START, Parcels
from prefect import Task

import flows.backfill
import flows.backtest
import flows.check_drift
import flows.export_training
import flows.infer
import flows.join_feedback
import flows.maintain
import flows.measure_performance
import flows.reprofile
import flows.rescore
import flows.retrain
import tasks.backfill
import tasks.backtest
import tasks.drift
import tasks.export
import tasks.reprofile
import tasks.rescore
import tasks.retrain
import tasks.score

Pipeline = TypeVar("Pipeline", bound=Parcels)

_MODULES: tuple[ModuleType, ...] = (
    flows.infer, flows.join_feedback, flows.check_drift, flows.retrain, flows.rescore, flows.maintain,
    flows.measure_performance, flows.backfill, flows.reprofile, flows.backtest,
    flows.export_training,
)  # fmt: skip
_ONLY_SHOWN = ("publish_summary", "publish_drift", "publish_retrain", "publish_performance", "publish_backtest")


# Their steps open the pipeline themselves, where they run.
_SHARDS: tuple[ModuleType, ...] = (tasks.rescore, tasks.backfill, tasks.reprofile, tasks.backtest, tasks.export)
_AHEAD = 3


def _a_few_ahead(step: Callable[..., Any], shards: Iterable[Any], *common: Any) -> Iterator[Any]:
    """In this thread, and yet as far ahead of whoever takes the answers as with several workers."""
    done: deque[Any] = deque()
    for shard in shards:
        done.append(step(shard, *common))
        if len(done) == _AHEAD:
            yield done.popleft()
    yield from done


class _NoProgress:
    def __init__(self, *_arguments: Any) -> None:
        return

    def advance(self, _rows: Any) -> None:
        return

    def reach(self, _first: Any, _last: Any) -> None:
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
                elif name == "each_shard":
                    patch.setattr(module, name, _a_few_ahead)
        for module in _SHARDS:
            patch.setattr(module, "connect", lambda _name: parcels.context)
        for module in (flows.infer, flows.backfill):
            patch.setattr(module, "RunProgress", _NoProgress)
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
