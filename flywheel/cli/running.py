"""``flywheel run`` and ``logs``: a flow in this process, and what runs have said."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Any

import typer

from flywheel.cli import output
from flywheel.cli.options import AsOfOption, JsonOption, PipelineArgument, PipelineOption
from flywheel.cli.plugins import flow_names, load_flow, load_orchestration, plain_prefect_errors
from flywheel.cli.session import open_database


def complete_flow(incomplete: str) -> list[str]:
    """The flows that begin with what was typed."""
    return [name for name in flow_names() if name.startswith(incomplete)]


def run_flow(
    flow: Annotated[
        str,
        typer.Argument(
            metavar="FLOW",
            help="infer, join-feedback, check-drift, export-training, retrain, promote or reconcile.",
            autocompletion=complete_flow,
            show_default=False,
        ),
    ],
    pipeline: PipelineOption,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a flow now, in this process."""
    called = load_flow(flow)
    open_database()
    # What a flow prints on its way is not its answer.
    with contextlib.redirect_stdout(sys.stderr), plain_prefect_errors():
        answer = called(pipeline=pipeline, as_of=as_of)
    if as_json:
        output.print_json(answer)
        return
    facts = _facts(answer)
    if facts:
        output.print_facts(facts, title=f"{flow} {pipeline}")
    else:
        output.say(f"{flow} {pipeline}: done")


def logs(
    name: PipelineArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines come, until interrupted.")] = False,
) -> None:
    """Print what a pipeline's runs have logged."""
    from flywheel.metadata.queries.pipelines import require_pipeline

    require_pipeline(open_database(), name)
    lines = 0
    with contextlib.suppress(KeyboardInterrupt), plain_prefect_errors():
        for line in load_orchestration("logs")(name, follow):
            output.say(line)
            lines += 1
    if not lines:
        sys.stderr.write(f"no run of {name} has logged anything; next: flywheel run infer -p {name}\n")


def _facts(answer: Any) -> dict[str, object]:
    """A flow's answer as names and values: its fields, or itself."""
    from pydantic_core import to_jsonable_python

    plain = to_jsonable_python(answer, serialize_unknown=True)
    if isinstance(plain, dict):
        return {name.replace("_", " "): value for name, value in plain.items()}
    return {} if plain is None else {"answer": plain}
