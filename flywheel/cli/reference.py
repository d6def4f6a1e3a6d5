"""Writes ``docs/cli.md``: every command's help page, and the keys of what ``--json`` prints.

``python -m flywheel.cli.reference docs/cli.md`` brings the page up to date; a test says when it is not.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from flywheel.cli.app import app
from flywheel.cli.exports import FolderExport
from flywheel.cli.manifests import FoundDocument, ValidationReport
from flywheel.cli.performance import PipelinePerformance
from flywheel.cli.stats import PipelineStats
from flywheel.manifest.graph import Graph, GraphEdge, GraphNode
from flywheel.manifest.problems import Problem
from flywheel.metadata.queries.deliveries import Undelivered
from flywheel.metadata.queries.drift_checks import Check, FeatureDrift
from flywheel.metadata.queries.health import BreakerState, LastCheck, PipelineHealth, WorkspaceHealth
from flywheel.metadata.queries.models import Comparison, MetricComparison, ModelDetails, ModelHappening, ModelSummary
from flywheel.metadata.queries.pipelines import AppliedPipeline, ConnectionSummary, PipelineSummary
from flywheel.metadata.queries.reviews import ReviewEntry
from flywheel.metadata.queries.stats import FeedbackStats, PredictionStats, TrainingStats
from flywheel.performance.measured import MeasuredWindow, MetricValue
from flywheel.records.refused import RefusedExample, RefusedReason
from flywheel.registry.rollback import RolledBack

WIDTH = 100
# What `--json` prints, by command; the names are those of TYPES.
ANSWERS = {
    "validate": "a ValidationReport, of a bad manifest too (exit code 2)",
    "get": "a list of PipelineSummary or of ConnectionSummary; for a name an AppliedPipeline or a ConnectionSummary",
    "graph": "a Graph",
    "run": "what the flow returns: an object whose keys are the flow's own, `pipeline` among them",
    "health": "a WorkspaceHealth",
    "health pipeline": "a PipelineHealth",
    "stats": "a list of PipelineStats; for a topic a list of PredictionStats, FeedbackStats or TrainingStats",
    "drift status": "a list of Check, one a pipeline that has been checked",
    "drift history": "a list of Check, the newest first",
    "drift explain": "a Check",
    "performance": "a list of PipelinePerformance",
    "model list": "a list of ModelSummary",
    "model show": "a ModelDetails",
    "model history": "a list of ModelHappening, the oldest first",
    "model compare": "a Comparison",
    "model rollback": "a RolledBack",
    "review list": "a list of ReviewEntry",
    "quarantine list": "a list of RefusedReason, the commonest first",
    "export": "a FolderExport",
}
TYPES: tuple[type, ...] = (
    ValidationReport, FoundDocument, Problem,
    PipelineSummary, ConnectionSummary, AppliedPipeline,
    Graph, GraphNode, GraphEdge,
    WorkspaceHealth, PipelineHealth, BreakerState, Undelivered, LastCheck,
    PipelineStats, PredictionStats, FeedbackStats, TrainingStats,
    Check, FeatureDrift,
    PipelinePerformance, MeasuredWindow, MetricValue,
    ModelSummary, ModelDetails, ModelHappening, Comparison, MetricComparison,
    RolledBack, ReviewEntry, RefusedReason, RefusedExample,
    FolderExport,
)  # fmt: skip

_HEAD = """\
# The command line

This page is generated: `python -m flywheel.cli.reference docs/cli.md`.

Exit codes: 0 done, 1 failed or unhealthy, 2 a usage error or a bad manifest. Errors go to standard error and say what
failed, what state is left and what to type next. With `--json` a command prints one JSON document on standard output
and nothing else; times in it are ISO 8601 in UTC, what is not known is `null`. A problem with the command itself leaves
standard output empty. `flywheel --install-completion` makes the shell complete commands, pipelines and models.
"""


_JSON_WORDS = (
    (r"\bdatetime\b", "time"), (r"\bstr\b", "text"), (r"\b(int|float)\b", "number"), (r"\bbool\b", "true or false"),
    (r"\bKind\b", "text"), (r"\bAny\b", "anything"), (r"\bNone\b", "null"),
    (r"(?:list|tuple)\[(\w+)(?:, \.\.\.)?\]", r"list of \1"),
    (r"dict\[text, (.+)\]", r"object, values: \1"), (r" \| ", " or "),
)  # fmt: skip


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD, *(_command_section(path, command) for path, command in commands())]
    parts.append("## What `--json` prints\n")
    parts += [_type_section(kind) for kind in TYPES]
    return "\n".join(parts)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its path, e.g. ``model show``, in the order of the help pages; first the empty path."""
    yield from _walk("", typer.main.get_command(app))


def keys(kind: type) -> list[str]:
    """Return the keys of an answer's type."""
    return [each.name for each in fields(kind)]


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    context = _context(path, command)
    for name in command.list_commands(context) if hasattr(command, "list_commands") else []:
        yield from _walk(f"{path} {name}".strip(), command.get_command(context, name))


def _context(path: str, command: Any) -> typer.Context:
    return typer.Context(
        command, info_name=f"flywheel {path}".strip(), terminal_width=WIDTH, help_option_names=["-h", "--help"]
    )


def _command_section(path: str, command: Any) -> str:
    text = "\n".join(line.rstrip() for line in command.get_help(_context(path, command)).splitlines())
    section = f"## flywheel {path}".rstrip() + f"\n\n```text\n{text}\n```\n"
    if path in ANSWERS:
        section += f"\n`--json` prints {_linked(ANSWERS[path])}.\n"
    return section


def _type_section(kind: type) -> str:
    about = inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
    rows = [f"| `{name}` | {_linked(_type_of(kind, name), code=True)} |" for name in keys(kind)]
    return "\n".join([f"### {kind.__name__}\n", f"{about}\n", "| key | type |", "|---|---|", *rows, ""])


def _type_of(kind: type, name: str) -> str:
    """The type of a key, in JSON's words."""
    written = str(kind.__annotations__[name])
    for python, json in _JSON_WORDS:
        written = re.sub(python, json, written)
    return written


def _linked(text: str, *, code: bool = False) -> str:
    """Link the names of TYPES to their sections."""
    names = {kind.__name__ for kind in TYPES}
    words = re.split(r"(\w+)", text)
    linked = "".join(f"[{word}](#{word.lower()})" if word in names else word for word in words)
    return linked if linked != text or not code else f"`{text}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
