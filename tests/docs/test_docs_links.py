"""Links and pictures lead somewhere, examples in YAML are valid, and no page tells of the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flywheel.manifest.load import parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href|srcset)=\"([^\"]+)\"")
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.M | re.S)


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _without_code(page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for found in _LINK.findall(_without_code(page.read_text(encoding="utf-8"))):
        target, _, anchor = (found[0] or found[1]).partition("#")
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        if anchor and file.suffix == ".md":
            assert anchor in _anchors(file), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_yaml_blocks_are_valid_manifests(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP_DATABASE_URL", "ALERT_TOKEN", "S3_KEY", "S3_SECRET", "KAFKA_PASSWORD"):
        monkeypatch.setenv(name, "sqlite://" if name.endswith("URL") else "secret")
    for block in _YAML.findall(page.read_text(encoding="utf-8")):
        bundle = parse(block, page.name)
        for name in bundle.pipelines:
            bundle.pipeline(name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_of_this_machine_is_told(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(?:work|root|tmp|home)/", text)
    assert len(text.splitlines()) < 1500


def test_both_licences_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE-APACHE").read_text(encoding="utf-8")
    assert "The Flywheel authors" in (ROOT / "LICENSE-MIT").read_text(encoding="utf-8")
    assert 'license = "MIT OR Apache-2.0"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
