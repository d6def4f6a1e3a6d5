"""Everything that has a name is explained somewhere under docs/ or in the README."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pydantic import BaseModel

import blocks
import tasks.events
from deployments.build import build_deployments
from flywheel.cli import reference as cli_reference
from flywheel.lake.tables import FEEDBACK, LABELS, PROFILES, QUARANTINE, RESCORED, PipelineTables
from flywheel.manifest import reference as manifest_reference
from flywheel.manifest.documents import Document
from flywheel.manifest.drift import Measure
from flywheel.manifest.load import load
from flywheel.manifest.schema import output_schema
from flywheel.metadata.schema import Base
from flywheel.serving.settings import ServerAccess
from flywheel.workspace import Workspace
from tasks.runner import RunnerSettings

ROOT = Path(__file__).parents[2]
DOCS = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}


def test_the_manifest_page_is_up_to_date() -> None:
    assert DOCS["manifest.md"] == manifest_reference.page(), (
        "run: .venv/bin/python -m flywheel.manifest.reference docs/manifest.md"
    )


def _models(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _models(below)


def test_every_part_of_a_manifest_has_a_section_or_is_written_in_one() -> None:
    from flywheel.manifest.fields import Spec

    page = DOCS["manifest.md"]
    documents = set(_models(Document))
    with_section = {section.model for section in manifest_reference.SECTIONS}
    for model in set(_models(Spec)) - documents - with_section - {Spec}:
        fields = model.model_fields
        is_stage = set(fields) == {"id", "type", "config"}
        assert is_stage or f"`{{{', '.join(fields)}}}`" in page, f"{model.__name__} is nowhere on docs/manifest.md"


def test_every_command_is_documented() -> None:
    for path, _ in cli_reference.commands():
        assert f"\n## {f'flywheel {path}'.strip()}\n" in DOCS["cli.md"]


@pytest.mark.parametrize("page", ["architecture.md", "operate.md"])
def test_every_flow_is_documented(page: str) -> None:
    for flow in entry_points(group="flywheel.flows"):
        assert f"`{flow.name}`" in DOCS[page] or f"`{flow.name}/NAME`" in DOCS[page]


def test_every_event_is_documented() -> None:
    events = {value for name, value in vars(tasks.events).items() if name.isupper() and value.startswith("flywheel.")}
    assert len(events) > 3
    for event in events:
        assert f"`{event}`" in DOCS["events.md"]


@pytest.mark.parametrize("settings", [Workspace, ServerAccess, RunnerSettings])
def test_every_setting_is_documented(settings: type[BaseModel]) -> None:
    for name, field in settings.model_fields.items():
        assert f"| `FLYWHEEL_{name.upper()}` |" in DOCS["operate.md"], name
        assert field.default is None or f"`{field.default}`" in DOCS["operate.md"]


def test_every_metadata_table_is_documented() -> None:
    for name in Base.metadata.tables:
        assert f"| `{name}` |" in DOCS["architecture.md"]


def test_every_table_of_the_lake_is_documented_with_its_columns() -> None:
    rows = [line for line in DOCS["architecture.md"].splitlines() if line.startswith("| `")]
    described = {line.split("`")[1]: line for line in rows}
    schemas = {
        "feedback": FEEDBACK,
        "labels": LABELS,
        "profiles": PROFILES,
        "quarantine": QUARANTINE,
        "rescored": RESCORED,
    }
    assert set(PipelineTables.__dataclass_fields__) == {*schemas, "predictions"}
    bundle = load([ROOT / "deployments" / "pipelines"])
    for name in bundle.pipelines:
        pipeline = bundle.pipeline(name)
        own = {*(feature.name for feature in pipeline.features), pipeline.inference.output_field}
        assert [column for column in output_schema(pipeline) if column not in own and f"`{column}`" not in
                described["predictions"]] == []  # fmt: skip
    for name, schema in schemas.items():
        assert [column for column in schema if column != "date" and f"`{column}`" not in described[name]] == []


def test_every_measure_is_documented() -> None:
    for measure in Measure.__args__:  # type: ignore[attr-defined]
        assert f"| `{measure}` |" in DOCS["drift-measures.md"]


def test_every_fallback_is_documented() -> None:
    from flywheel.manifest.inference import Fallback

    for fallback in Fallback.__args__:  # type: ignore[attr-defined]
        assert f"| `{fallback}` |" in DOCS["model-server.md"]


def test_every_deployment_of_the_bundled_pipelines_is_documented() -> None:
    bundle = load([ROOT / "deployments" / "pipelines"])
    flows = {made.flow for name in bundle.pipelines for made in build_deployments(bundle.pipeline(name))}
    for flow in flows:
        assert f"`{flow}/NAME`" in DOCS["operate.md"]


def test_every_block_type_is_documented() -> None:
    for kind in blocks.ALL:
        slug = kind.get_block_type_slug()
        assert f"`{slug}`" in DOCS["operate.md"] or f"`{slug}/" in DOCS["operate.md"]
