"""``flywheel serve-models``: the model server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.session import open_database, open_workspace


def serve_models(
    address: Annotated[
        str, typer.Option("--address", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = "127.0.0.1:50051",
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", metavar="FILE", help="Gets the address once requests are answered."),
    ] = None,
) -> None:
    """Serve every champion over gRPC.

    Speaks the Open Inference Protocol v2, until stopped. Promotions are picked up without a failed request.
    """
    import logging

    from flywheel.registry.store import Registry
    from flywheel.serving.server import serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    workspace = open_workspace()
    registry = Registry(open_database(workspace), workspace.storage(), f"{workspace.lake.rstrip('/')}/models")
    serve(registry, address, ready_file)
