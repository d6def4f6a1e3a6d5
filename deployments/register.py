"""Makes deployments on the Prefect server; one that is there already, and the same, is left alone."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger, Posture, ResourceSpecification
from prefect.exceptions import ObjectNotFound

from deployments.build import FlowDeployment, Trigger
from deployments.cancel import cancel_runs
from deployments.names import TAG, WORK_POOL
from deployments.settings import RUN_SETTINGS
from flywheel.errors import FlywheelError

Job = Mapping[str, str | Mapping[str, str]]


def register(deployments: list[FlowDeployment], working_dir: Path) -> list[str]:
    """Create or update deployments and return the names of those that changed.

    Parameters
    ----------
    working_dir
        Folder that workers of a process pool start runs in. In any other pool the container's image, and the pool's
        base job template, say where a run works and what it is started with.

    Raises
    ------
    FlywheelError
        There is no work pool yet; nothing has changed.
    """
    with get_client(sync_client=True) as client:
        job = _job(client, working_dir)
        changed = [each for each in deployments if not _is_there(client, each.name, _version(each, job))]
    for deployment in changed:
        _runner_deployment(deployment, job).apply()
    return [deployment.name for deployment in changed]


def unregister(pipeline: str, flows: list[str]) -> list[str]:
    """Remove a pipeline's deployments, their schedules, triggers and runs under way; return a line for each."""
    lines = []
    with get_client(sync_client=True) as client:
        for flow in flows:
            try:
                found = client.read_deployment_by_name(f"{flow}/{pipeline}")
            except ObjectNotFound:
                continue
            client.delete_resource_owned_automations(f"prefect.deployment.{found.id}")
            lines += cancel_runs(client, found.id)
            client.delete_deployment(found.id)
            lines.append(f"deployment {flow}/{pipeline}: removed")
    return lines


def unschedule(pipeline: str) -> None:
    """Remove the schedules of a pipeline's deployments; triggers and runs by hand stay."""
    with get_client(sync_client=True) as client:
        names = DeploymentFilter(name=DeploymentFilterName(any_=[pipeline]))
        for deployment in client.read_deployments(deployment_filter=names):
            for schedule in deployment.schedules:
                client.delete_deployment_schedule(deployment.id, schedule.id)


def _job(client: SyncPrefectClient, working_dir: Path) -> Job:
    try:
        pool = client.read_work_pool(WORK_POOL)
    except ObjectNotFound as error:
        raise FlywheelError(
            f"no work pool {WORK_POOL!r} on the Prefect server at {client.api_url}",
            state="no deployment was made or changed",
            next_step="flywheel init, then flywheel apply again",
        ) from error
    if pool.type != "process":
        return {"env": RUN_SETTINGS}
    # With a command of its own a run is one process: the worker's default first resolves a workspace in another.
    command = shlex.join([sys.executable, "-m", "prefect.engine"])
    return {"working_dir": str(working_dir), "command": command, "env": RUN_SETTINGS}


def _version(deployment: FlowDeployment, job: Job) -> str:
    """Return what changes when anything about the deployment does."""
    text = json.dumps([deployment.model_dump(mode="json"), dict(job)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_there(client: SyncPrefectClient, name: str, version: str) -> bool:
    try:
        found = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return False
    # One whose pool was deleted belongs to none, also when there is a new one of that name.
    return found.version == version and found.work_pool_name == WORK_POOL


def _runner_deployment(deployment: FlowDeployment, job: Job) -> RunnerDeployment:
    module, _, attribute = deployment.entrypoint.rpartition(".")
    flow: Flow[..., object] = getattr(import_module(module), attribute)
    found = flow.to_deployment(
        name=deployment.pipeline,
        cron=deployment.cron,
        parameters={"pipeline": deployment.pipeline},
        description=deployment.description,
        tags=[TAG, deployment.pipeline],
        version=_version(deployment, job),
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy(deployment.on_collision)
        ),
        triggers=[_trigger(deployment.trigger)] if deployment.trigger else [],
        work_pool_name=WORK_POOL,
        job_variables=dict(job),
    )
    # A dotted entrypoint imports the installed flows; a path would put flows/ itself first on sys.path.
    found.entrypoint = deployment.entrypoint
    return found


def _trigger(trigger: Trigger) -> DeploymentEventTrigger:
    return DeploymentEventTrigger(
        name=trigger.name,
        expect={trigger.event},
        match=ResourceSpecification(trigger.match),
        parameters=dict(trigger.parameters),
        posture=Posture.Reactive,
        threshold=1,
    )
