"""Opens a pipeline: the workspace block, the manifest from the metadata, and the blocks that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from httpx import codes
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.logging import get_logger
from pydantic import ValidationError

from blocks import FlywheelModelServer, FlywheelSink, FlywheelSource, FlywheelStorage, FlywheelWorkspace
from blocks.workspace import DEFAULT_NAME
from flywheel.context import Connections, PipelineContext, open_pipeline
from flywheel.errors import FlywheelError

BlockT = TypeVar("BlockT", bound=Block)


def connect(pipeline: str) -> PipelineContext:
    """Return the newest revision of ``pipeline`` with everything that it connects to."""
    with get_client(sync_client=True) as client:
        return open_pipeline(_workspace(client).workspace(), pipeline, _connections(client))


def _workspace(client: SyncPrefectClient) -> FlywheelWorkspace:
    found = dict(_blocks(client, FlywheelWorkspace))
    if DEFAULT_NAME not in found:
        raise FlywheelError(
            f"no block flywheel-workspace/{DEFAULT_NAME} on the Prefect server at {client.api_url}",
            state="nothing was started",
            next_step="flywheel init  (with PREFECT_API_URL set to that server)",
        )
    return found[DEFAULT_NAME]


def _connections(client: SyncPrefectClient) -> Connections:
    return Connections(
        sources={name: block.spec for name, block in _blocks(client, FlywheelSource)},
        sinks={name: block.spec for name, block in _blocks(client, FlywheelSink)},
        model_servers={name: block.spec for name, block in _blocks(client, FlywheelModelServer)},
        storages=tuple(block.spec for _, block in _blocks(client, FlywheelStorage)),
    )


def _blocks(client: SyncPrefectClient, kind: type[BlockT]) -> Iterator[tuple[str, BlockT]]:
    """Yield the saved blocks of one type by name; none where the type has not been registered."""
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        documents = client.read_block_documents_by_type(kind.get_block_type_slug(), include_secrets=True)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != codes.NOT_FOUND:
            raise
        return
    for document in documents:
        if document.name is None:
            continue
        try:
            block = kind._from_block_document(document)
        except ValidationError as error:
            # Saved by an earlier Flywheel; whoever needs it is told that it is not there. Its values may be secrets.
            why = "; ".join(each["msg"] for each in error.errors(include_input=False, include_context=False))
            get_logger("flywheel").warning(
                "left out block %s/%s: %s; apply its document again", kind.get_block_type_slug(), document.name, why
            )
            continue
        yield document.name, block
