"""The files of deployments/containers/, read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments" / "containers"
KUBERNETES = FOLDER / "kubernetes"
_REFERENCE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_0-9]+)(?P<how>:[?-])?(?P<rest>[^}]*)\}")
_PIN = re.compile(r"^([a-z0-9._-]+)==([^ \\]+)", re.M)


def compose(name: str) -> Any:
    """A compose file, its anchors resolved."""
    return _yaml().load(FOLDER / name)


def references(name: str) -> Iterator[tuple[str, str | None]]:
    """The variables that a compose file names, and the default of each that has one."""
    for found in _REFERENCE.finditer((FOLDER / name).read_text()):
        yield found["name"], found["rest"] if found["how"] == ":-" else None


def manifests() -> list[Any]:
    """Every object of kubernetes/."""
    files = [path for path in sorted(KUBERNETES.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [each for path in files for each in _yaml().load_all(path) if each]


def pods() -> dict[str, Any]:
    """What each Deployment and Job makes pods of, by its name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in manifests()
        if each["kind"] in ("Deployment", "Job")
    }


def containers(pod: Any) -> list[Any]:
    """A pod's containers, those that come first included."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def stack() -> Any:
    """The CloudFormation template; ``!Ref X`` is read as X, ``!Sub`` and ``!GetAtt`` as what follows them."""
    reader = _yaml()
    reader.Constructor = _CloudFormation
    return reader.load(FOLDER / "ecs" / "stack.yaml")


def template(where: str) -> Any:
    """The base job template of a work pool."""
    return json.loads((FOLDER / where / "job-template.json").read_text())


def pins(file: Path) -> dict[str, str]:
    """What a lock file pins: versions by name."""
    return dict(_PIN.findall(file.read_text()))


def hashes(file: Path) -> dict[str, set[str]]:
    """The hashes that a lock file takes, by ``name==version``."""
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in file.read_text().splitlines():
        if pin := _PIN.match(line):
            current = found.setdefault(pin[0], set())
        elif line.strip().startswith("--hash="):
            current.add(line.strip(" \\"))
    return found


def secrets(folder: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run a copy of new-secrets.sh in ``folder``; return where it writes, and how it ended."""
    folder.mkdir(exist_ok=True)
    script = shutil.copy(FOLDER / "new-secrets.sh", folder)
    return folder / ".env", subprocess.run([script], capture_output=True, text=True, env=dict(os.environ))


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


class _CloudFormation(SafeConstructor):
    """Reads CloudFormation's functions as their arguments."""


def _argument(constructor: Any, _suffix: str, node: Any) -> Any:
    if node.id == "scalar":
        return constructor.construct_scalar(node)
    return constructor.construct_sequence(node, deep=True)


_CloudFormation.add_multi_constructor("!", _argument)
