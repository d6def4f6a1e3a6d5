"""Puts the groups of commands together and turns errors into plain words and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from flywheel.cli import (
    datasets,
    drift,
    exports,
    graphs,
    health,
    manifests,
    models,
    performance,
    quarantine,
    resources,
    reviews,
    running,
    serving,
    stats,
    workspace,
)
from flywheel.errors import FlywheelError, ManifestError

BAD_MANIFEST = 2
FAILED = 1

# As the loop is met: set up, put into service, run, look, decide, take away.
_ORDER = (
    "init", "upgrade", "validate", "apply", "get", "delete", "graph", "run", "serve-models", "health", "stats", "drift",
    "performance",
    "model", "review", "quarantine", "export", "logs", "dataset", "demo", "up",
)  # fmt: skip


class _InOrder(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=_ORDER.index)


# Plain help pages: rich takes longer to import than everything else that --help needs.
app = typer.Typer(
    name="flywheel",
    help="Close the loop between a model in production and its next version.",
    cls=_InOrder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command("init")(workspace.init)
app.command("upgrade")(workspace.upgrade)
app.command("validate")(manifests.validate)
app.command("apply")(manifests.apply)
app.command("get")(resources.get)
app.command("delete")(resources.delete)
app.command("graph")(graphs.graph)
app.command("run")(running.run_flow)
app.command("serve-models")(serving.serve_models)
app.add_typer(health.app, name="health")
app.command("stats")(stats.stats)
app.add_typer(drift.app, name="drift")
app.command("performance")(performance.performance)
app.add_typer(models.app, name="model")
app.add_typer(reviews.app, name="review")
app.add_typer(quarantine.app, name="quarantine")
app.command("export")(exports.export)
app.command("logs")(running.logs)
app.add_typer(datasets.app, name="dataset")
app.command("demo")(workspace.demo)
app.command("up")(workspace.up)


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code."""
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="flywheel")
    except ManifestError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(BAD_MANIFEST)
    except FlywheelError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(FAILED)
