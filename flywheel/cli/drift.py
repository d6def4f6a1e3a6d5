"""``flywheel drift``: what the newest checks found, and all that came before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flywheel.cli import explain, output
from flywheel.cli.options import AnyPipelineOption, JsonOption, LimitOption
from flywheel.cli.session import open_database

if TYPE_CHECKING:
    from flywheel.metadata.queries.drift_checks import Check, FeatureDrift

SHOWN_FEATURES = 8
LONGEST_SLICE = 24
# Those that fit a usual terminal; --json has all of them.
SHOWN_MEASURES = ("psi", "kl_divergence", "ks", "missing_rate")

app = typer.Typer(
    help="Look at drift checks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(explain.explain)


@app.command()
def status(pipeline: AnyPipelineOption = None, as_json: JsonOption = False) -> None:
    """Show the newest check of each pipeline, its worst features, and what to do about it."""
    from flywheel.metadata.queries.drift_checks import latest_check
    from flywheel.metadata.queries.pipelines import select_pipelines

    database = open_database()
    names = select_pipelines(database, pipeline)
    found = [check for name in names if (check := latest_check(database, name))]
    if as_json:
        output.print_json(found)
        return
    unchecked = sorted(set(names) - {check.pipeline for check in found})
    for check in found:
        print_head(check)
        print_features(check, SHOWN_FEATURES)
        print_joint(check, SHOWN_FEATURES)
    for name in unchecked:
        output.say(f"{name}: no drift check so far; next: flywheel run check-drift -p {name}")


@app.command()
def history(pipeline: AnyPipelineOption = None, limit: LimitOption = 20, as_json: JsonOption = False) -> None:
    """List drift checks, the newest first."""
    from flywheel.metadata.queries.drift_checks import check_history
    from flywheel.metadata.queries.pipelines import select_pipelines

    database = open_database()
    select_pipelines(database, pipeline)
    found = check_history(database, pipeline, limit)
    if as_json:
        output.print_json(found)
        return
    if not found:
        output.say("no drift check so far; next: flywheel run check-drift -p NAME")
        return
    table = output.table(
        "pipeline", "as of (UTC)", "rows", "outcome", "severity", "worst", "action", "retraining", numbers=("rows",)
    )
    for each in found:
        output.add_row(
            table,
            each.pipeline,
            each.as_of,
            each.rows,
            each.outcome,
            each.severity,
            _name(each.features[0]) if each.features else None,
            each.action,
            each.retraining and each.retraining.replace("_", " "),
        )
    output.console().print(table)
    output.say(f"why, e.g. of the newest: flywheel drift explain {found[0].id}")


def print_head(check: Check) -> None:
    """Print what a check came to, why, and what to do."""
    from flywheel.drift.severity import recommendation

    output.console().print(
        f"[bold]{output.escaped(check.pipeline)}[/]  {output.show(check.outcome)}, severity "
        f"{output.show(check.severity)}, as of {output.show(check.as_of)} UTC"
    )
    output.print_facts(
        {
            "check": check.id,
            "reason": check.reason,
            "window": f"{check.rows:,} rows, batches {check.first_batch} to {check.last_batch}",
            "baseline": check.baseline_id,
            "action": check.action + (f", retraining {check.retraining.replace('_', ' ')}" if check.retraining else ""),
            "harm": check.harm,
            "alert": _alert(check),
            "recommended": recommendation(check.severity),  # type: ignore[arg-type]
        }
    )
    output.say("")


def _alert(check: Check) -> str | None:
    if check.alert_id is None:
        return None
    if check.notice == "resolved":
        return f"resolved; it was open since check {check.alert_id}"
    return f"open since check {check.alert_id}" if check.alert_id != check.id else "opened by this check"


def print_features(check: Check, most: int) -> None:
    """Print what was measured on the worst features."""
    if not check.features:
        return
    short = [name.removesuffix("_divergence").removesuffix("_rate") for name in SHOWN_MEASURES]
    table = output.table("feature", "severity", "surest of", "p", *short, "ratio", numbers=("p", *short, "ratio"))
    for each in check.features[:most]:
        measures = (each.measures.get(name) for name in SHOWN_MEASURES)
        p_value = None if each.p_value is None else f"{each.p_value:.2g}"
        output.add_row(table, _name(each), each.severity, each.question, p_value, *measures, each.ratio)
    out = output.console()
    out.print(table)
    if len(check.features) > most:
        out.print(f"[dim]and {len(check.features) - most} features that drifted less (--json has them)[/]")
    output.say("")


def _name(finding: FeatureDrift) -> str:
    """The feature, and below it the slice; a value of records may be long, and would leave no room for the rest."""
    if finding.slice is None:
        return finding.feature
    cut = finding.slice if len(finding.slice) <= LONGEST_SLICE else f"{finding.slice[: LONGEST_SLICE - 1]}…"
    return f"{finding.feature}\n  {cut}"


def print_joint(check: Check, most: int) -> None:
    """Print what features show together, where that was asked."""
    if not check.joint:
        return
    table = output.table("together", "severity", "p", "shown by", "of", numbers=("p",))
    for each in check.joint:
        p_value = None if each.p_value is None else f"{each.p_value:.2g}"
        what = "AUC" if each.test == "domain_classifier" else "cosine distance"
        shown = each.why_not if each.value is None else f"{what} {each.value:.3g}"
        output.add_row(table, each.name, each.severity, p_value, shown, ", ".join(each.features[:most]) or None)
    output.console().print(table)
    output.say("")
