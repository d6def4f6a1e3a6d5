"""Sets a workspace up: folders, metadata tables, block types, the workspace block, the work pool, automations."""

from __future__ import annotations

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

import blocks
from blocks.workspace import DEFAULT_NAME, FlywheelWorkspace
from deployments.names import WORK_POOL
from deployments.silence import watch_for_silence
from flywheel.workspace import Workspace


def initialise(workspace: Workspace) -> list[str]:
    """Set ``workspace`` up and return what was done, a line each; a second call changes nothing."""
    workspace.home.mkdir(parents=True, exist_ok=True)
    database = workspace.database()
    database.create()
    for kind in blocks.ALL:
        kind.register_type_and_schema()
    with get_client(sync_client=True) as client:
        return [
            f"metadata: {database.url.render_as_string(hide_password=True)}",
            f"lake: {workspace.lake}",
            f"block types: {', '.join(kind.get_block_type_slug() for kind in blocks.ALL)}",
            f"block flywheel-workspace/{DEFAULT_NAME}: {_save_workspace(workspace)}",
            f"work pool {WORK_POOL}: {_create_work_pool(client)}",
            *watch_for_silence(client),
        ]


def _save_workspace(workspace: Workspace) -> str:
    block = FlywheelWorkspace.of(workspace)
    try:
        known = FlywheelWorkspace.load(DEFAULT_NAME)
    except ValueError:
        known = None
    if known is not None and known.workspace() == block.workspace():
        return "unchanged"
    block.save(DEFAULT_NAME, overwrite=True)
    return "updated" if known is not None else "created"


def _create_work_pool(client: SyncPrefectClient) -> str:
    try:
        client.read_work_pool(WORK_POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=WORK_POOL, type="process", base_job_template=template))
        return "created"
    return "unchanged"
