"""prefect.yaml declares the deployments that ``flywheel apply`` makes of the bundled pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from deployments.build import FlowDeployment, build_deployments
from deployments.names import WORK_POOL
from deployments.settings import RUN_SETTINGS
from flywheel.manifest.load import load

ROOT = Path(__file__).parents[2]


def as_declared(deployment: FlowDeployment) -> dict[str, Any]:
    """A deployment the way prefect.yaml writes it."""
    declared: dict[str, Any] = {
        "name": deployment.pipeline,
        "entrypoint": deployment.entrypoint,
        "description": deployment.description,
        "tags": ["flywheel", deployment.pipeline],
        "parameters": {"pipeline": deployment.pipeline},
        "concurrency_limit": {"limit": 1, "collision_strategy": deployment.on_collision},
        "work_pool": {"name": WORK_POOL, "job_variables": {"env": RUN_SETTINGS}},
    }
    if deployment.cron:
        declared["schedules"] = [{"cron": deployment.cron}]
    if deployment.trigger:
        declared["triggers"] = [
            {
                "name": deployment.trigger.name,
                "type": "event",
                "enabled": True,
                "expect": [deployment.trigger.event],
                "match": deployment.trigger.match,
                "parameters": deployment.trigger.parameters,
            }
        ]
    return declared


def test_prefect_yaml_and_apply_make_the_same_deployments() -> None:
    bundle = load([ROOT / "deployments" / "pipelines"])
    wanted = [as_declared(found) for name in bundle.pipelines for found in build_deployments(bundle.pipeline(name))]
    declared = YAML(typ="safe").load(ROOT / "prefect.yaml")["deployments"]

    def key(deployment: dict[str, Any]) -> tuple[str, str]:
        return deployment["name"], deployment["entrypoint"]

    assert sorted(declared, key=key) == sorted(wanted, key=key)
