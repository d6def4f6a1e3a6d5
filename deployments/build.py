"""Which Prefect deployments a pipeline has: one a flow, named after the pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from flywheel.manifest.pipeline import Pipeline
from tasks.events import ACTION_LABEL, DRIFT_DETECTED, resource_id

Collision = Literal["CANCEL_NEW", "ENQUEUE"]


class Trigger(BaseModel):
    """An event that starts a run, and the parameters that it hands over."""

    model_config = ConfigDict(frozen=True)

    name: str
    event: str
    match: dict[str, str]
    parameters: dict[str, str]


class FlowDeployment(BaseModel):
    """A flow deployed for one pipeline, one run at a time.

    ``on_collision`` says what happens to a run that would be the second: scheduled ones are dropped, since the next run
    does their work too; a retrain that somebody asked for waits.
    """

    model_config = ConfigDict(frozen=True)

    flow: str
    pipeline: str
    entrypoint: str
    description: str
    cron: str | None = None
    trigger: Trigger | None = None
    on_collision: Collision = "CANCEL_NEW"

    @property
    def name(self) -> str:
        """The name that ``prefect deployment run`` takes."""
        return f"{self.flow}/{self.pipeline}"


def build_deployments(pipeline: Pipeline) -> list[FlowDeployment]:
    """Return the deployments of a pipeline; flows that its manifest has no part for are left out."""
    name, schedules = pipeline.name, pipeline.spec.schedules
    found = [
        _deploy("infer", name, "Score new records and log every prediction", schedules.infer),
        _deploy("rescore", name, "Score again what a fallback answered", schedules.rescore),
        _deploy("maintain", name, "Expire, compact and vacuum tables", schedules.maintain),
        _deploy("reconcile", name, "Do what lost events should have done", schedules.reconcile),
        _by_hand("backfill", name, "Score a backlog of records on several processes"),
    ]
    if pipeline.feedback is not None:
        found.append(_deploy("join-feedback", name, "Join feedback events to predictions", schedules.join_feedback))
    if pipeline.feedback is not None and pipeline.training is not None:
        cron = schedules.measure_performance
        found.append(_deploy("measure-performance", name, "Measure the model by the labels that have come", cron))
        found.append(_by_hand("backtest", name, "Try a model version on past windows"))
    if pipeline.drift is not None:
        found += [
            _deploy("check-drift", name, "Compare the newest window with the baseline", schedules.check_drift),
            _by_hand("reprofile", name, "Profile what is logged on the champion's baseline"),
        ]
    if pipeline.export is not None:
        found.append(_by_hand("export-training", name, "Publish labelled rows as Parquet"))
    if pipeline.training is not None:
        found += [_retrain(pipeline), _by_hand("promote", name, "Act on reviews: promote what was approved")]
    return found


def _retrain(pipeline: Pipeline) -> FlowDeployment:
    trigger = None
    if pipeline.drift is not None and pipeline.drift.on_drift == "retrain":
        trigger = Trigger(
            name=f"retrain {pipeline.name} on drift",
            event=DRIFT_DETECTED,
            match={"prefect.resource.id": resource_id(pipeline.name), ACTION_LABEL: "retrain"},
            parameters={"pipeline": pipeline.name, "check_id": "{{ event.payload.check_id }}"},
        )
    plain = _deploy(
        "retrain", pipeline.name, "Train, evaluate and promote a candidate", pipeline.spec.schedules.retrain
    )
    return plain.model_copy(update={"trigger": trigger, "on_collision": "ENQUEUE"})


def _by_hand(flow: str, pipeline: str, description: str) -> FlowDeployment:
    return _deploy(flow, pipeline, description, None, on_collision="ENQUEUE")


def _deploy(
    flow: str, pipeline: str, description: str, cron: str | None, on_collision: Collision = "CANCEL_NEW"
) -> FlowDeployment:
    module = flow.replace("-", "_")
    return FlowDeployment(
        flow=flow,
        pipeline=pipeline,
        entrypoint=f"flows.{module}.{module}",
        description=description,
        cron=cron,
        on_collision=on_collision,
    )
