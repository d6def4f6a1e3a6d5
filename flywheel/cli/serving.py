"""``flywheel serve-models``: the model server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.session import open_database, open_workspace, read_settings


def serve_models(
    address: Annotated[
        str, typer.Option("--address", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
    ] = "127.0.0.1:50051",
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", metavar="FILE", help="Gets the address once requests are answered."),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--tls-certificate", metavar="FILE", help="Speak TLS with this certificate (PEM).", show_default=False
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's key (PEM).", show_default=False)
    ] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option(
            "--tls-client-ca",
            metavar="FILE",
            help="Ask clients for a certificate of this authority (PEM).",
            show_default=False,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="Ask for one of the tokens in this file, one a line.",
            show_default=False,
        ),
    ] = None,
    plain_token: Annotated[
        bool | None,
        typer.Option("--plain-token", help="Take tokens without TLS, inside an encrypted network.", show_default=False),
    ] = None,
) -> None:
    """Serve every champion over gRPC.

    Speaks the Open Inference Protocol v2, until stopped. Promotions are picked up without a failed request. A single
    token can be given as FLYWHEEL_MODEL_SERVER_TOKEN, and is no option, since everybody can see a command's options.
    """
    import logging

    from flywheel.registry.store import Registry
    from flywheel.serving.server import serve
    from flywheel.serving.settings import ServerAccess

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    workspace = open_workspace()
    registry = Registry(open_database(workspace), workspace.storage(), f"{workspace.lake.rstrip('/')}/models")
    access = read_settings(
        ServerAccess,
        model_server_certificate_file=certificate,
        model_server_key_file=key,
        model_server_client_ca_file=client_ca,
        model_server_token_file=token_file,
        model_server_plain_token=plain_token,
    )
    serve(registry, address, ready_file, access)
