"""``flywheel model``: models, their versions, and how they compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flywheel.cli import output
from flywheel.cli.options import JsonOption, ModelArgument
from flywheel.cli.session import open_database, open_workspace

if TYPE_CHECKING:
    from flywheel.metadata.queries.models import Comparison, ModelDetails
    from flywheel.registry.rollback import RolledBack

app = typer.Typer(
    help="Look at models and their versions, and go back to one.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List the models with their champions."""
    from flywheel.metadata.queries.models import list_models

    found = list_models(open_database())
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("no model is registered; next: flywheel run retrain -p NAME")
        return
    table = output.table("model", "pipeline", "versions", "champion", "since (UTC)", "its evaluation")
    for each in found:
        output.add_row(
            table,
            each.model_id,
            each.pipeline,
            each.versions,
            each.champion,
            each.champion_since,
            _metrics(each.metrics),
        )
    output.console().print(table)


@app.command()
def show(
    model: ModelArgument,
    version: Annotated[int | None, typer.Option("--version", "-v", min=1, help="Default: the champion.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version: its evaluation, what it was trained on, its file."""
    from flywheel.metadata.queries.models import model_details

    found = model_details(open_database(), model, version)
    if as_json:
        output.print_json(found)
    else:
        output.print_facts(_facts(found), title=f"{found.model_id} version {found.version}")


@app.command()
def history(model: ModelArgument, as_json: JsonOption = False) -> None:
    """List what happened to a model's versions: registered, evaluated, promoted, archived, rejected."""
    from flywheel.metadata.queries.models import model_history

    found = model_history(open_database(), model)
    if as_json:
        output.print_json(found)
        return
    table = output.table("as of (UTC)", "version", "event", "why", "details", numbers=("version",))
    for each in found:
        output.add_row(table, each.as_of, each.version, each.event, each.reason, _metrics(each.details))
    output.console().print(table)


@app.command()
def compare(
    model: ModelArgument,
    first: Annotated[int, typer.Argument(metavar="VERSION", min=1, show_default=False)],
    second: Annotated[int, typer.Argument(metavar="VERSION", min=1, show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: their evaluations and what they were trained on."""
    from flywheel.metadata.queries.models import compare_versions

    found = compare_versions(open_database(), model, first, second)
    if as_json:
        output.print_json(found)
    else:
        _print_comparison(found)


@app.command()
def rollback(
    model: ModelArgument,
    comment: Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why; kept in the history.")],
    version: Annotated[
        int | None,
        typer.Argument(metavar="VERSION", min=1, help="Default: the champion before this one.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a former champion the champion again.

    Model servers serve it within a second, batches planned from now on are scored by it, and drift is measured against
    its own baseline. A retrain that is running was compared with another champion, and ends as rejected.
    """
    if not comment.strip():
        raise typer.BadParameter("say why", param_hint="--comment")
    found = _roll_back(model, version, comment.strip())
    if as_json:
        output.print_json(found)
        return
    output.say(f"{model} version {found.to_version} is the champion again, in place of version {found.from_version}")
    output.say(f"next: flywheel run infer -p {found.pipeline}; a retrain may promote another version again")


def _roll_back(model: str, version: int | None, reason: str) -> RolledBack:
    from datetime import UTC, datetime

    from flywheel.metadata.revisions import Revisions
    from flywheel.registry.rollback import choose_version, roll_back
    from flywheel.registry.store import Registry

    workspace = open_workspace()
    database = open_database(workspace)
    registry = Registry(database, workspace.storage(), f"{workspace.lake.rstrip('/')}/models")
    _, former = choose_version(registry, model, version)
    revisions = Revisions(database)
    in_service = former.pipeline in revisions.names()
    pipeline = revisions.current(former.pipeline).pipeline if in_service else None
    return roll_back(registry, model, version, pipeline, reason, datetime.now(UTC))


def _print_comparison(found: Comparison) -> None:
    first, second = found.first, found.second
    heads = [f"version {each.version}" for each in (first, second)]
    table = output.table("", *heads, "better", title=first.model_id, numbers=heads)
    for metric in found.metrics:
        better = f"version {metric.better}" if metric.better is not None else None
        output.add_row(table, metric.metric, metric.first, metric.second, better)
    one, other = _facts(first), _facts(second)
    for name in one:
        if name not in ("evaluation", "file", "sha256", "training") and one[name] != other[name]:
            output.add_row(table, name, one[name], other[name], None)
    output.console().print(table)
    output.say("Each version's evaluation is the one it was registered with, on the hold-out of its own time.")


def _facts(found: ModelDetails) -> dict[str, object]:
    card = found.card
    return {
        "status": found.status,
        "evaluation": _metrics(found.metrics),
        "task": card.get("task"),
        "algorithm": card.get("algorithm"),
        "served by": _runtime(card),
        "parameters": _metrics(card.get("parameters") or {}),
        "trained on": f"{card['rows']:,} rows" if card.get("rows") else None,
        "from": _minute(card.get("trained_from")),
        "to": _minute(card.get("trained_to")),
        "as of": _minute(card.get("as_of")),
        "export": card.get("export_id"),
        "baseline": card.get("baseline_id"),
        "pipeline": found.pipeline,
        "training": found.training_key,
        "file": found.uri,
        "sha256": found.sha256,
    }


def _runtime(card: Mapping[str, Any]) -> str:
    form = card.get("onnx")
    if form:
        return f"ONNX Runtime, which answered {form['compared']:,} rows as scikit-learn does"
    why = card.get("onnx_refusal")
    return f"scikit-learn; {why}" if why else "scikit-learn"


def _metrics(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {output.show(value)}" for name, value in values.items())


def _minute(text: str | None) -> str | None:
    return f"{text[:16].replace('T', ' ')} UTC" if text else None
