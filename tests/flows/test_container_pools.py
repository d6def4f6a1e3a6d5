"""Deployments on a work pool whose runs are containers, and what its workers make of our base job templates."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from parcels import NAME, Parcels, end_of
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, WorkPool
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Scheduled
from prefect.workers.base import BaseJobConfiguration

from deployments.names import WORK_POOL
from deployments.settings import RUN_SETTINGS
from deployments.workspace import initialise
from flywheel.errors import FlywheelError

CONTAINERS = Path(__file__).parents[2] / "deployments" / "containers"
PREFECT = str(Path(sys.executable).with_name("prefect"))
PARTS_OF_AN_ARN = {"PREFECTAUTHSECRET": "arn:aws:secretsmanager:eu-west-1:1:secret:flywheel:prefect-auth-string::"}


def template(kind: str) -> dict[str, Any]:
    """The template as a team gives it to ``prefect work-pool create``: for ECS with the stack's outputs put in."""
    text = (CONTAINERS / kind / "job-template.json").read_text()
    return dict(json.loads(re.sub(r"\$\{([A-Z]+)\}", lambda name: PARTS_OF_AN_ARN.get(name[1], name[1].lower()), text)))


@pytest.fixture(scope="module")
def client(trained: Parcels) -> Iterator[SyncPrefectClient]:
    """The server; its process pool comes back at the end, for the other tests on it."""
    with get_client(sync_client=True) as client:
        yield client
        with suppress(ObjectNotFound):
            client.delete_work_pool(WORK_POOL)
        trained.select()
        initialise(trained.workspace)
        trained.apply()


# Kubernetes goes the same way; its template is checked in tests/deployments/test_containers.py too.
@pytest.fixture(scope="module", params=[pytest.param("kubernetes", marks=pytest.mark.slow), "ecs"])
def pool(
    client: SyncPrefectClient, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> WorkPool:
    """Flywheel's pool, of another kind, instead of the one that was there: made with the command that teams use."""
    client.delete_work_pool(WORK_POOL)
    file = tmp_path_factory.mktemp("template") / "job-template.json"
    file.write_text(json.dumps(template(request.param)))
    setup = (CONTAINERS / "kubernetes" / "setup.yaml").read_text()
    found = re.search(r"args: \[prefect, (work-pool, create,[^]]+)\]", setup)
    assert found is not None
    arguments = re.sub(r",\s+", " ", found[1]).replace("/etc/flywheel/job-template.json", str(file)).split()
    arguments[arguments.index("--type") + 1] = request.param
    for _ in range(2 if request.param == "ecs" else 1):
        done = subprocess.run(
            [PREFECT, *arguments], env=_environment(), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return client.read_work_pool(WORK_POOL)


def _environment() -> dict[str, str]:
    return {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}


def test_init_leaves_a_pool_of_another_kind_as_it_is(pool: WorkPool, parcels: Parcels) -> None:
    assert f"work pool {WORK_POOL}: unchanged" in initialise(parcels.workspace)


def configuration_of(pool: WorkPool) -> type[BaseJobConfiguration]:
    """What Prefect's own worker reads a template with."""
    if pool.type == "ecs":
        from prefect_aws.workers.ecs_worker import ECSJobConfiguration

        return ECSJobConfiguration
    worker = pytest.importorskip(
        "prefect_kubernetes.worker", reason="prefect-kubernetes is in the image's lock only (docs/deploy.md)"
    )
    return worker.KubernetesWorkerJobConfiguration  # type: ignore[no-any-return]


def job_of(run: FlowRun, pool: WorkPool) -> Any:
    """The configuration that a worker would make the run's container from."""
    kind = configuration_of(pool)

    async def resolve() -> BaseJobConfiguration:
        async with get_client() as client:
            return await kind.resolve_for_flow_run(run, client=client, work_pool=pool, worker_name="worker")

    return asyncio.run(resolve())


def container_of(job: Any, pool: WorkPool) -> tuple[list[str], Mapping[str, str]]:
    """The arguments and the environment of the run's container."""
    if pool.type == "kubernetes":
        container = job.job_manifest["spec"]["template"]["spec"]["containers"][0]
        return container["args"], {each["name"]: each["value"] for each in container["env"]}
    return shlex.split(job.command), job.env


@pytest.mark.slow
def test_a_run_of_the_pool_does_its_work_as_its_container_would(
    pool: WorkPool, parcels: Parcels, client: SyncPrefectClient, tmp_path: Path
) -> None:
    parcels.day(1, 60)
    parcels.apply()
    deployment = client.read_deployment_by_name(f"infer/{NAME}")
    assert deployment.work_pool_name == WORK_POOL
    # What a process pool needs, this machine's interpreter and folders, is not asked of a container.
    assert deployment.job_variables == {"env": RUN_SETTINGS}
    run = client.create_flow_run_from_deployment(
        deployment.id, parameters={"pipeline": NAME, "as_of": end_of(1).isoformat()}, state=Scheduled()
    )
    arguments, environment = container_of(job_of(run, pool), pool)
    assert arguments == ["prefect", "flow-run", "execute"]
    assert RUN_SETTINGS.items() <= environment.items()
    done = subprocess.run(
        [PREFECT, *arguments[1:]],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    state = client.read_flow_run(run.id).state
    assert state is not None
    assert state.is_completed(), done.stdout + done.stderr
    tables = parcels.context.tables
    assert tables.predictions.read(tables.predictions.files()).height == 60


def test_the_templates_variables_are_what_the_worker_knows(pool: WorkPool) -> None:
    known = set(configuration_of(pool).model_fields)
    given = pool.base_job_template
    assert set(given["job_configuration"]) <= known
    placeholders = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(given["job_configuration"])))
    assert placeholders <= set(given["variables"]["properties"])


def test_apply_without_a_pool_says_what_to_type(client: SyncPrefectClient, trained: Parcels) -> None:
    with suppress(ObjectNotFound):
        client.delete_work_pool(WORK_POOL)
    with pytest.raises(FlywheelError, match="no work pool 'flywheel'") as told:
        trained.apply()
    assert "flywheel init" in str(told.value)
