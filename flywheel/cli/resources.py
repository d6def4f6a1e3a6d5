"""``flywheel get`` and ``delete``: what is in service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from flywheel.cli import output
from flywheel.cli.completion import complete_pipeline
from flywheel.cli.options import JsonOption, PipelineArgument
from flywheel.cli.plugins import load_orchestration, plain_prefect_errors
from flywheel.cli.session import open_database, open_workspace
from flywheel.errors import not_found

if TYPE_CHECKING:
    from flywheel.metadata.database import Database
    from flywheel.metadata.queries.pipelines import ConnectionSummary, PipelineSummary

CONNECTION_KINDS = {"sources": "Source", "sinks": "Sink", "model-servers": "ModelServer", "storages": "Storage"}


def get(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="pipelines, sources, sinks, model-servers, storages, or the name of one.",
            autocompletion=complete_pipeline,
        ),
    ] = "pipelines",
    as_json: JsonOption = False,
) -> None:
    """List what is in service, or show one of it."""
    from flywheel.metadata.queries.pipelines import list_connections, list_pipelines

    database = open_database()
    if what == "pipelines":
        _show_pipelines(list_pipelines(database), as_json)
    elif what in CONNECTION_KINDS:
        _show_connections(list_connections(database, CONNECTION_KINDS[what]), what, as_json)
    else:
        _show_named(database, what, as_json)


def delete(name: PipelineArgument) -> None:
    """Take a pipeline out of service.

    Its deployments go, with the runs that are under way, and the sources, sinks and model servers that no other
    pipeline names. Its history and its tables stay.
    """
    workspace = open_workspace()
    open_database(workspace)
    with plain_prefect_errors():
        output.say(load_orchestration("delete")(name, workspace))


def _show_pipelines(pipelines: Sequence[PipelineSummary], as_json: bool) -> None:
    if as_json:
        output.print_json(pipelines)
        return
    if not pipelines:
        output.say("no pipeline is in service; next: flywheel apply -f MANIFEST")
        return
    table = output.table("pipeline", "revision", "enabled", "source", "model", "drift", "sinks")
    for each in pipelines:
        output.add_row(
            table,
            each.name,
            each.revision,
            each.enabled,
            each.source,
            each.model_id,
            each.drift_mode,
            each.sinks,
        )
    output.console().print(table)


def _show_connections(connections: Sequence[ConnectionSummary], what: str, as_json: bool) -> None:
    if as_json:
        output.print_json(connections)
        return
    if not connections:
        output.say(f"there are no {what}; next: flywheel apply -f DOCUMENTS")
        return
    table = output.table("name", "applied (UTC)", "what it is")
    for each in connections:
        output.add_row(table, each.name, each.applied_at, _in_one_line(each))
    output.console().print(table)


def _show_named(database: Database, name: str, as_json: bool) -> None:
    from flywheel.metadata.queries.pipelines import find_pipeline, list_connections, pipeline_names

    applied = find_pipeline(database, name)
    if applied is not None:
        if as_json:
            output.print_json(applied)
        else:
            output.say(f"# revision {applied.revision}, applied {output.show(applied.applied_at)} UTC")
            output.say(applied.manifest.rstrip("\n"))
        return
    named = [each for each in list_connections(database) if each.name == name]
    if not named:
        known = [*pipeline_names(database), *(each.name for each in list_connections(database))]
        raise not_found("pipeline or connection", name, known, next_step="flywheel get pipelines")
    if as_json:
        output.print_json(named[0] if len(named) == 1 else named)
        return
    for each in named:
        output.print_facts({"applied (UTC)": each.applied_at, **each.spec}, title=f"{each.kind} {each.name}")


def _in_one_line(connection: ConnectionSummary) -> str:
    return ", ".join(f"{name}: {value}" for name, value in connection.spec.items() if value not in (None, {}, ""))
